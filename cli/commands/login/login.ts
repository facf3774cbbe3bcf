import { messageOf } from "../../../model/errors.ts";
import { parseServerUrl, type ServerAddress, storedUrlOf } from "../../../client/address.ts";
import { createClient } from "../../../client/client.ts";
import type { ServiceMetadata } from "../../../client/types.ts";
import { command } from "../../line/command.ts";
import { writeLogin } from "../../server/login-file.ts";
import { parseProxy } from "../../read/proxy.ts";
import { httpOptionsOf } from "../../server/connect.ts";
import { readYamlFile } from "../../read/yaml-file.ts";

export default command({
  meta: { name: "login", description: "Log in to a server, which all other commands then use" },
  examples: ["tyger login --local", "tyger login unix:///opt/tyger/api.sock", "tyger login http://localhost:8080"],
  args: {
    "server-url": { type: "positional", required: false, description: "http://host:port or unix:///path/api.sock" },
    file: {
      type: "string",
      alias: "f",
      valueHint: "path",
      isOnce: true,
      description: "YAML file with serverUrl and proxy",
    },
    local: { type: "boolean", description: "Use the server on this machine" },
  },
  async run({ args, globals, host, log }) {
    const url = args["server-url"];
    if (args.local && (url !== undefined || args.file !== undefined)) {
      throw new Error("--local cannot be combined with a URL or --file");
    }
    const options = { ...httpOptionsOf({ log, globals }), retry: false } as const;
    const login = (address: ServerAddress): Promise<ServiceMetadata> => createClient(address, options).metadata();
    const { address, proxy } = args.local
      ? { address: await firstAnswering(await host.config.localSockets(), login), proxy: undefined }
      : await addressOf(url, args.file);
    const loginFile = host.config.loginFile;
    if (loginFile === undefined) throw new Error("there is no folder for the login file: set TYGER_CACHE_FILE or HOME");
    if (!args.local) {
      const { authority } = await login(address);
      if (authority) throw new Error("the server requires a token, which this client cannot obtain");
    }
    writeLogin(loginFile, { serverUrl: storedUrlOf(address), proxy: globals.proxy ?? proxy ?? "auto" });
  },
});

/** Tries the sockets in order: one can be left over from a killed server. */
async function firstAnswering(
  sockets: readonly string[],
  ask: (address: ServerAddress) => Promise<unknown>,
): Promise<ServerAddress> {
  const failures: string[] = [];
  for (const socketPath of sockets) {
    const address: ServerAddress = { kind: "unix", socketPath };
    try {
      await ask(address);
      return address;
    } catch (err) {
      failures.push(err instanceof Error ? err.message : String(err));
    }
  }
  throw new Error(`no local server was found: ${failures.join("; ")}`);
}

async function addressOf(
  url: string | undefined,
  file: string | undefined,
): Promise<{ address: ServerAddress; proxy: string | undefined }> {
  if (url !== undefined) return { address: parseServerUrl(url), proxy: undefined };
  if (file === undefined) throw new Error("a server URL, --file or --local is required");
  const { serverUrl, proxy } = (await readYamlFile(file, LOGIN_FILE)) as { serverUrl?: string; proxy?: string };
  if (!serverUrl) throw new Error(`the file '${file}' has no serverUrl`);
  return { address: parseServerUrl(serverUrl), proxy: proxy === undefined ? undefined : proxyOf(proxy, file) };
}

function proxyOf(text: string, file: string): string {
  try {
    return parseProxy(text);
  } catch (err) {
    throw new Error(`invalid proxy '${text}' in the file '${file}': ${messageOf(err)}`, { cause: err });
  }
}

/** The options that this client supports, and those of companion programs, which it ignores. */
const LOGIN_FILE = {
  object: { serverUrl: "text", proxy: "text", port: "integer", allowedClientCIDRs: "textList", logPath: "text" },
} as const;
