import { hash } from "node:crypto";

/** Base64 of the MD5 of `bytes`. */
export const md5Of = (bytes: Uint8Array): string => hash("md5", bytes, "base64");

/** H(n) from H(n-1) and the base64 MD5 of blob n. @see docs/buffer-format.md */
export const nextInChain = (previous: string, md5: string): string => hash("sha256", previous + md5, "base64");
