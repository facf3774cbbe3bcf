import { errnoWordsOf } from "../../model/errno.ts";
import { messageOf } from "../../model/errors.ts";

/** Turns a system error into one sentence for the user who named the file. */
export function fileFailure(path: string, use: "read" | "written", cause: unknown, what = "file"): Error {
  return new Error(`the ${what} '${path}' cannot be ${use}: ${reasonOf(use, cause)}`, { cause });
}

/** The error for a stdout that cannot be written. */
export const stdoutFailure = (cause: unknown): Error =>
  new Error(`stdout cannot be written: ${reasonOf("written", cause)}`, { cause });

const reasonOf = (use: "read" | "written", cause: unknown): string =>
  errnoWordsOf(cause, use === "read" ? "reading" : "writing") ?? messageOf(cause);
