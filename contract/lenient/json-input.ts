import { CodedError } from "../../model/errors.ts";

/** Deeper than any body of the contract, and shallow enough for recursive code. */
const MAX_DEPTH = 64;

const unreadable = (path: string, reason: string): CodedError =>
  new CodedError("InvalidInput", `Error deserializing input at ${path}: ${reason}`);

/**
 * The value of a JSON text as clients may send it: trailing commas are accepted, comments are not. Undefined for an
 * empty text. Text that no database could hold (NUL, halves of surrogate pairs) is refused.
 * @throws CodedError InvalidInput
 */
export function parseInput(text: string): unknown {
  if (text.trim() === "") return undefined;
  const value = parseJson(text);
  checkValue(value, "$", 0);
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (err) {
    const repaired = withoutTrailingCommas(text);
    if (repaired !== text) {
      try {
        return JSON.parse(repaired);
      } catch {
        // The text as it came gives the better message.
      }
    }
    throw unreadable("$", err instanceof SyntaxError ? err.message.slice(0, 200) : "it is not JSON");
  }
}

/** One pass, linear in the text whatever it holds; commas inside strings stay. */
function withoutTrailingCommas(text: string): string {
  let repaired = "";
  let copied = 0;
  let commaAt = -1;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? "";
    if (inString) {
      if (char === "\\") i++;
      else if (char === '"') inString = false;
    } else if (char === ",") {
      commaAt = i;
    } else if (!/\s/.test(char)) {
      inString = char === '"';
      if (commaAt >= 0 && (char === "}" || char === "]")) {
        repaired += text.slice(copied, commaAt);
        copied = commaAt + 1;
      }
      commaAt = -1;
    }
  }
  return repaired + text.slice(copied);
}

function checkValue(value: unknown, path: string, depth: number): void {
  if (typeof value === "string") {
    if (value.includes("\0") || !value.isWellFormed()) {
      throw unreadable(path, "the text holds a character that cannot be stored");
    }
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (depth === MAX_DEPTH) throw unreadable(path, `it is nested deeper than ${MAX_DEPTH} levels`);
  for (const [key, member] of Object.entries(value)) {
    checkValue(key, path, depth);
    checkValue(member, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, depth + 1);
  }
}
