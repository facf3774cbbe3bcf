/**
 * Capabilities that container engines give to root by default and that a job does not get, on every engine. The others stay, so that
 * `chown`, `su` and files of other users work.
 * @see docs/decisions/0163-one-list-of-capabilities.md
 */
export const DROPPED_CAPABILITIES = ["NET_RAW", "MKNOD", "AUDIT_WRITE", "SETFCAP"];
