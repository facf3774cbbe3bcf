import { errnoOf, messageOf } from "../model/errors.ts";

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
    ENOSPC: "the disk is full",
  },
};

/** The error for the person who named the file, from that of the system. */
export function fileFailure(path: string, use: "read" | "written", cause: unknown): Error {
  const reason = REASONS[use][errnoOf(cause) ?? ""] ?? messageOf(cause);
  return new Error(`the file '${path}' cannot be ${use}: ${reason}`, { cause });
}
