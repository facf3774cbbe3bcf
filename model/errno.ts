import { errnoOf } from "./errors.ts";

/**
 * How a connection failed: `noListener` (no process is listening), `unsent` (the server was not reached; nothing was
 * sent) or `lost` (it broke off; the server may have acted).
 */
export type ConnectionFailure = "noListener" | "unsent" | "lost";

interface Meaning {
  /** Set where the code can end a connection. */
  connection?: ConnectionFailure;
  /** For a user, after "cannot be reached: ". */
  connecting?: string;
  /** For a user, after "cannot be read: ". */
  reading?: string;
  /** For a user, after "cannot be written: ". */
  writing?: string;
}

const FOLDER_IN_WAY = { reading: "it is a folder", writing: "it is a folder" };
const PART_IS_FILE = "a part of its path is not a folder";
const NO_SPACE = { writing: "the disk is full" };
const NOT_PERMITTED = {
  connecting: "you do not have permission to use it",
  reading: "you do not have permission to read it",
  writing: "you do not have permission to write to it",
};

/** The one table of system error codes. A code of Node's HTTP parser or of a library is not among them. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  EACCES: NOT_PERMITTED,
  EPERM: NOT_PERMITTED,
  ENOENT: {
    connection: "noListener",
    connecting: "there is no such socket",
    reading: "there is no such file",
    writing: "its folder does not exist",
  },
  ECONNREFUSED: { connection: "noListener", connecting: "nothing is listening there" },
  ENOTFOUND: { connection: "unsent", connecting: "there is no such host" },
  EAI_AGAIN: { connection: "unsent", connecting: "its host name could not be looked up" },
  EHOSTUNREACH: { connection: "unsent", connecting: "there is no route to its host" },
  EHOSTDOWN: { connection: "unsent", connecting: "its host is down" },
  ENETDOWN: { connection: "unsent", connecting: "the network is down" },
  ENETUNREACH: { connection: "unsent", connecting: "there is no route to its network" },
  ECONNRESET: { connection: "lost", connecting: "the connection was reset" },
  ECONNABORTED: { connection: "lost", connecting: "the connection was aborted" },
  EPIPE: { connection: "lost", connecting: "the connection was closed", writing: "its reader has closed it" },
  ETIMEDOUT: { connection: "lost", connecting: "the connection timed out" },
  EEXIST: { writing: "a file with this name is in the way" },
  EISDIR: FOLDER_IN_WAY,
  ENOTDIR: { reading: PART_IS_FILE, writing: PART_IS_FILE },
  EROFS: { writing: "the file system is read-only" },
  ENOSPC: NO_SPACE,
  EDQUOT: NO_SPACE,
};

const meaningOf = (thrown: unknown): Meaning | undefined => {
  const code = errnoOf(thrown);
  return code !== undefined && Object.hasOwn(MEANINGS, code) ? MEANINGS[code] : undefined;
};

/** How the connection failed; undefined for an error that is not of a connection. A missing file looks like no listener. */
export const connectionFailureOf = (thrown: unknown): ConnectionFailure | undefined => meaningOf(thrown)?.connection;

/** The reason for a user, without a full stop; undefined for a code without words. */
export const errnoWordsOf = (thrown: unknown, doing: "connecting" | "reading" | "writing"): string | undefined =>
  meaningOf(thrown)?.[doing];

/** Whether the disk, or the user's part of it, is full. */
export const isDiskFull = (thrown: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(errnoOf(thrown) ?? "");

const AWAY = ["EIO", "ENOTCONN", "ESTALE", "ENODEV", "EROFS", "EACCES"];

/** Whether a file system does not work, or not for us: disconnected, broken, read-only or closed. A refused socket is not one. */
export const isFileSystemAway = (thrown: unknown): boolean =>
  AWAY.includes(errnoOf(thrown) ?? "") &&
  !(thrown instanceof Error && "syscall" in thrown && thrown.syscall === "connect");

/** Whether there is no file of this path, also because a part of the path is not a folder. */
export const isNoFile = (thrown: unknown): boolean => ["ENOENT", "ENOTDIR"].includes(errnoOf(thrown) ?? "");
