import { CodedError } from "./errors.ts";

const KEY = /^[a-zA-Z0-9-_.]{1,128}$/;
const VALUE = /^[a-zA-Z0-9-_.]{0,256}$/;
const MAX_TAGS = 100;

/**
 * The rules of tags on runs and buffers.
 * @throws CodedError InvalidInput
 */
export function checkTags(tags: Readonly<Record<string, string>> = {}): void {
  const entries = Object.entries(tags);
  if (entries.length > MAX_TAGS) {
    throw new CodedError("InvalidInput", `There can be at most ${MAX_TAGS} tags, not '${entries.length}'`);
  }
  for (const [key, value] of entries) {
    if (!KEY.test(key)) {
      throw new CodedError(
        "InvalidInput",
        `The tag key '${key}' must have 1 to 128 letters, digits, dashes, dots or underscores`,
      );
    }
    if (!VALUE.test(value)) {
      throw new CodedError(
        "InvalidInput",
        `The value '${value}' of the tag '${key}' must have at most 256 letters, digits, dashes, dots or underscores`,
      );
    }
  }
}
