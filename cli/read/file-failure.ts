import { errnoOf, messageOf } from "../../model/errors.ts";

const REASONS: Readonly<Record<"read" | "written", Readonly<Record<string, string>>>> = {
  read: {
    ENOENT: "there is no such file",
    ENOTDIR: "a part of its path is no folder",
    EISDIR: "it is a folder",
    EACCES: "you may not read it",
  },
  written: {
    ENOENT: "its folder does not exist",
    ENOTDIR: "a part of its path is no folder",
    EISDIR: "it is a folder",
    EACCES: "you may not write it",
    EROFS: "the file system is read-only",
    ENOSPC: "the disk is full",
  },
};

/** The error for the person who named the file, from that of the system. */
export function fileFailure(path: string, use: "read" | "written", cause: unknown, what = "file"): Error {
  return new Error(`the ${what} '${path}' cannot be ${use}: ${reasonOf(use, cause)}`, { cause });
}

/** The error of a stdout that takes no more. */
export const stdoutFailure = (cause: unknown): Error =>
  new Error(`stdout cannot be written: ${reasonOf("written", cause)}`, { cause });

const reasonOf = (use: "read" | "written", cause: unknown): string =>
  REASONS[use][errnoOf(cause) ?? ""] ?? messageOf(cause);
