import { hash } from "node:crypto";

/** The buffer format 0.3.0: a byte stream is stored in numbered blobs. @see docs/buffer-format.md */

export const START_BLOB = ".bufferstart";
export const END_BLOB = ".bufferend";
export const FORMAT_VERSION = "0.3.0";
export const START_CONTENT = `{"version":"${FORMAT_VERSION}"}`;
export const END_COMPLETE = `{"status":"complete"}`;
export const END_FAILED = `{"status":"failed"}`;

/** The metadata key of a data blob's hash chain. */
export const CHAIN_METADATA = "cumulative_hash_chain";
/** The metadata key of the token of the writer whose start or end of a buffer it is; other clients write none. */
export const WRITER_METADATA = "tyger_writer";
/** H(-1): base64 of sixteen ASCII zeros. */
export const CHAIN_START = "MDAwMDAwMDAwMDAwMDAwMA==";

/** Base64 of the MD5 of `bytes`. */
export const md5Of = (bytes: Uint8Array): string => hash("md5", bytes, "base64");

/** H(n) from H(n-1) and the base64 MD5 of blob n. @see docs/buffer-format.md */
export const nextInChain = (previous: string, md5: string): string => hash("sha256", previous + md5, "base64");

/** The path of data blob `number`; alphabetical order of paths is numeric order. */
export function blobPathOf(number: number): string {
  const fraction = number % 0x1000;
  const rest = Math.floor(number / 0x1000);
  const bits = rest === 0 ? 0 : Math.floor(Math.log2(rest)) + 1;
  let path = hex(bits, 2);
  if (bits > 1) {
    const withoutTop = rest - 2 ** (bits - 1);
    const bytes = Math.floor((bits - 2) / 8) + 1;
    for (let i = bytes - 1; i >= 0; i--) path += `/${hex(Math.floor(withoutTop / 256 ** i) % 256, 2)}`;
  }
  return `${path}/${hex(fraction, 3)}`;
}

const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0");
