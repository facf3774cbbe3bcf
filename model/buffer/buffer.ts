/** A buffer as clients see it. Times as in {@link Run}; `eTag` is decimal digits without quotes. */
export interface Buffer {
  id: string;
  location: string;
  createdAt: string;
  isSoftDeleted?: boolean;
  expiresAt?: string;
  tags?: Record<string, string>;
  eTag: string;
}

/** The state that a buffer's eTag stands for. */
export interface BufferState {
  id: string;
  isSoftDeleted: boolean;
  expiresAt?: string | undefined;
  tags?: Record<string, string> | undefined;
}

/** 26 characters of `[a-z2-7]`: base32 of 16 random bytes. */
export const BUFFER_ID = /^[a-z2-7]{26}$/;

/** The lower-case, unpadded base32 of `bytes` (RFC 4648 alphabet). */
export function base32(bytes: Uint8Array): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  let text = "";
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      text += alphabet[(value >>> (bits - 5)) & 31];
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}
