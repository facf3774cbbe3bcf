import { type Environment, loginFileOf } from "./home.ts";
import type { StackConfig } from "./stack.ts";

/** The CLI's settings from its environment. It starts without any of it: `env -i tyger` works. */
export interface CliConfig {
  /** Undefined if the environment names no folder for it: then there is no login. */
  loginFile: string | undefined;
  /** Sockets that `login --local` tries, in this order. A function, because only that command needs them. */
  localSockets: () => Promise<string[]>;
  /** The local stack, for `up`, `down` and `status`. @throws Error when the environment names no folder for its data */
  stack: () => Promise<StackConfig>;
  /** The Docker engine that `--pull` uses; undefined means this machine's socket. */
  dockerHost: string | undefined;
  /** Standard streams that the caller closed. The launcher checks: the runtime opens them on /dev/null. */
  closedStreams: string[];
  /** The caller ignores SIGHUP, as `nohup` does. The launcher finds out: the runtime resets it before we can look. */
  ignoresHangup: boolean;
  /** @see https://no-color.org */
  noColor: boolean;
  /** A terminal without support for control sequences. */
  isDumbTerminal: boolean;
  /** Terminal width, for terminals that do not report it. */
  columns: number | undefined;
}

/** The socket of a server that an operator installed for all users of the machine. */
const INSTALLED_SOCKET = "/opt/tyger/api.sock";

/** Reads the environment by hand: loading a schema library takes longer than most commands. */
export function readCliConfig(env: Environment, uid: number): CliConfig {
  return {
    loginFile: loginFileOf(env),
    localSockets: () => localSocketsOf(env, uid),
    stack: async () => (await import("./stack.ts")).readStackConfig(env, uid),
    dockerHost: env["DOCKER_HOST"] || undefined,
    noColor: Boolean(env["NO_COLOR"]),
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
