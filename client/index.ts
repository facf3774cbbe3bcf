import { ownLoginFile } from "../config/home.ts";
import { parseServerUrl } from "./address.ts";
import { type Client, createClient } from "./client.ts";
import type { Buffers } from "./buffers.ts";
import { connectFrom } from "./connect.ts";
import { execute, type Executions } from "./run/execution.ts";
import type { Runs } from "./run/runs.ts";
import { transfersOver, type Transfers } from "./transfers.ts";
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

/** The calls of the API, and what is made of them: transfers of bytes, and runs that are seen to their end. */
export interface Tyger extends Client {
  readonly buffers: Buffers & Transfers;
  readonly runs: Runs & Executions;
}

/** A client of one server. @throws NotLoggedInError when no server is given and the login file names none */
export async function connect({ server, loginFile, ...options }: ConnectOptions = {}): Promise<Tyger> {
  const client =
    server === undefined
      ? await connectFrom(loginFile ?? ownLoginFile(), options)
      : createClient(parseServerUrl(server), options);
  const { codespecs, runs } = client;
  const buffers = { ...client.buffers, ...transfersOver(client.buffers, client.ca) };
  const exec: Executions["exec"] = (run, how = {}) => execute({ runs, buffers, codespecs }, run, how);
  return { ...client, buffers, runs: { ...runs, exec } };
}

export { CodedError } from "../model/errors.ts";
export type { ErrorCode } from "../model/errors.ts";
export type { ServerAddress } from "./address.ts";
export type { AccessOptions, Buffers } from "./buffers.ts";
export type { Client } from "./client.ts";
export type { Codespecs } from "./codespecs.ts";
export {
  ConnectionError,
  ETagMismatchError,
  hasCode,
  NotLoggedInError,
  ServerError,
  UnexpectedStatusError,
} from "./errors.ts";
export type { ExecOptions, Execution, Executions } from "./run/execution.ts";
export type { CallOptions, HttpHooks, HttpOptions, TokenProvider } from "./http/http.ts";
export type { Attempts, Failure, RetryPolicy } from "./http/retry.ts";
export type { LogBytesOptions, LogLine, LogOptions } from "./run/logs.ts";
export type { List, ListOptions, Page } from "./pages.ts";
export type { RunFilter, Runs } from "./run/runs.ts";
export type { TagChanges } from "./tag-changes.ts";
export type { BufferReadOptions, BufferWriteOptions, Content, Transfers } from "./transfers.ts";
export { hasEnded } from "./types.ts";
export type * from "./types.ts";
export type { WatchOptions } from "./run/watch.ts";
