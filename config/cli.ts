import { type Environment, loginFileOf } from "./home.ts";
import type { StackConfig } from "./stack.ts";

/** What the command-line client takes from its environment. Nothing of it is needed to start. */
export interface CliConfig {
  /** Undefined when the environment names no place for it: then nobody is logged in. */
  loginFile: string | undefined;
  /** Sockets that `login --local` tries, in this order; asked for by that command alone. */
  localSockets: () => Promise<string[]>;
  /** The local stack, for `up`, `down` and `status`. @throws Error when the environment names no folder for its data */
  stack: () => Promise<StackConfig>;
  /** The Docker engine that `--pull` uses; undefined means the socket of this machine. */
  dockerHost: string | undefined;
  /** Standard streams that the caller had closed, which the runtime then opened on /dev/null; the launcher looks. */
  closedStreams: string[];
  /** The caller ignores SIGHUP, as `nohup` does. The launcher finds out: the runtime resets it before we can look. */
  ignoresHangup: boolean;
  /** Set by those who want none. @see https://no-color.org */
  noColour: boolean;
  /** A terminal that shows what it is sent and knows no control sequences. */
  isDumbTerminal: boolean;
  /** The width of terminals that do not tell it themselves. */
  columns: number | undefined;
}

/** The place of a server that an operator installed for all users of the machine. */
const INSTALLED_SOCKET = "/opt/tyger/api.sock";

/** Reads the environment of the CLI by hand: a schema library would cost more than the commands do. */
export function readCliConfig(env: Environment, uid: number): CliConfig {
  return {
    loginFile: loginFileOf(env),
    localSockets: () => localSocketsOf(env, uid),
    stack: async () => (await import("./stack.ts")).readStackConfig(env, uid),
    dockerHost: env["DOCKER_HOST"] || undefined,
    noColour: Boolean(env["NO_COLOR"]),
    isDumbTerminal: env["TERM"] === "dumb",
    columns: /^[1-9][0-9]{0,4}$/.test(env["COLUMNS"] ?? "") ? Number(env["COLUMNS"]) : undefined,
    ignoresHangup: env["TYGER_IGNORED_SIGNALS"] === "HUP",
    closedStreams: (env["TYGER_CLOSED_STREAMS"] ?? "").split(" ").filter((name) => name !== ""),
  };
}

async function localSocketsOf(env: Environment, uid: number): Promise<string[]> {
  if (env["TYGER_SOCKET_PATH"]) return [env["TYGER_SOCKET_PATH"]];
  const { stackPaths } = await import("./paths.ts");
  const stack = stackPaths(env, uid);
  return [INSTALLED_SOCKET, ...(stack ? [stack.apiSocket] : [])];
}
