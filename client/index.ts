import { ownLoginFile } from "../config/home.ts";
import { parseServerUrl } from "./address.ts";
import { type Client, createClient } from "./client.ts";
import { connectFrom } from "./connect.ts";
import type { HttpOptions } from "./http/http.ts";

/**
 * The client of the API for TypeScript programs, exported as `tyger/client`.
 * @see docs/programs.md
 */

export interface ConnectOptions extends HttpOptions {
  /** `unix:///path/api.sock`, `http://host:port` or `https://host`; the server of the login file unless given. */
  server?: string;
  /** The login file to read instead of that of `tyger login`. */
  loginFile?: string;
}

/** A client of one server. @throws NotLoggedInError when no server is given and the login file names none */
export async function connect({ server, loginFile, ...options }: ConnectOptions = {}): Promise<Client> {
  if (server !== undefined) return createClient(parseServerUrl(server), options);
  return connectFrom(loginFile ?? ownLoginFile(), options);
}

export { CodedError } from "../model/errors.ts";
export type { ErrorCode } from "../model/errors.ts";
export type { ServerAddress } from "./address.ts";
export type { AccessOptions, BufferReadOptions, Buffers, BufferWriteOptions } from "./buffers.ts";
export type { Client } from "./client.ts";
export type { Codespecs } from "./codespecs.ts";
export { ConnectionError, hasCode, NotLoggedInError, ServerError, UnexpectedStatusError } from "./errors.ts";
export type { ExecOptions, Execution } from "./execution.ts";
export type { CallOptions, HttpHooks, HttpOptions } from "./http/http.ts";
export type { Attempts, Failure, RetryPolicy } from "./http/retry.ts";
export type { LogBytesOptions, LogLine, LogOptions } from "./logs.ts";
export type { List, ListOptions, Page } from "./pages.ts";
export type { RunFilter, Runs } from "./runs.ts";
export type { Content } from "./transfers.ts";
export { hasEnded } from "./types.ts";
export type * from "./types.ts";
export type { WatchOptions } from "./watch.ts";
