import { CodedError } from "./errors.ts";

/** The contract's roles: `owner` can do everything, `contributor` everything but delete. */
export type Role = "owner" | "contributor";

/** The party that makes a request. Every service asks for it, so that none can forget to. */
export interface Caller {
  /** Who it is, in the words of whatever identified it. Only the local user is `local`. */
  subject: string;
  roles: readonly Role[];
}

/** Without logins, every request is from the one user who can open the socket. */
export const LOCAL_USER: Caller = { subject: "local", roles: ["owner"] };

/** @throws CodedError Forbidden */
export function checkOwner({ subject, roles }: Caller): void {
  if (!roles.includes("owner")) throw new CodedError("Forbidden", `'${subject}' is not an owner of this server`);
}

/** Either role is enough for whatever is not reserved for owners. @throws CodedError Forbidden */
export function checkMember({ subject, roles }: Caller): void {
  if (roles.length === 0) throw new CodedError("Forbidden", `'${subject}' has no role on this server`);
}
