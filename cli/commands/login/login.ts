import { dirname, resolve } from "node:path";
import { parseServerUrl, type ServerAddress, storedUrlOf } from "../../../client/address.ts";
import { certificatesOf } from "../../../client/auth/certificates.ts";
import type { ServiceLogin } from "../../../client/auth/grants.ts";
import { createClient } from "../../../client/client.ts";
import type { Login } from "../../../client/login-file.ts";
import { writeLogin } from "../../../client/login-writer.ts";
import { messageOf } from "../../../model/errors.ts";
import { isSafeUrl } from "../../../model/issuer.ts";
import { command } from "../../line/command.ts";
import { parseProxy } from "../../read/proxy.ts";
import { readYamlFile } from "../../read/yaml-file.ts";
import { httpOptionsOf } from "../../server/connect.ts";
import { writeAll } from "../../terminal/host.ts";

export default command({
  meta: { name: "login", description: "Log in to a server, which all other commands then use" },
  examples: [
    "tyger login --local",
    "tyger login unix:///opt/tyger/api.sock",
    "tyger login https://tyger.example.org",
    "tyger login https://tyger.example.org --service-principal ci --secret-file ci.secret",
  ],
  args: {
    "server-url": { type: "positional", required: false, description: "http://host:port or unix:///path/api.sock" },
    file: { type: "string", alias: "f", valueHint: "path", isOnce: true, description: "YAML file with the options" },
    local: { type: "boolean", description: "Use the server on this machine" },
    "service-principal": {
      type: "string",
      alias: "s",
      valueHint: "id",
      isOnce: true,
      description: "Log in as this service, with --secret-file or --cert-file",
    },
    "secret-file": {
      type: "string",
      valueHint: "path",
      isOnce: true,
      description: "File with the secret of the service",
    },
    "cert-file": {
      type: "string",
      alias: "c",
      valueHint: "path",
      isOnce: true,
      description: "PEM file with the certificate and the key of the service",
    },
    "use-device-code": {
      type: "boolean",
      alias: "d",
      description: "Log in with a code in a browser on any machine, which is the default",
    },
    "tls-certificates": {
      type: "string",
      valueHint: "os|embedded|path",
      isOnce: true,
      description: "Certificates to trust: of the system (os), of tyger (embedded), or in a PEM file",
    },
  },
  async run({ args, globals, host, log }) {
    const { local, file, "server-url": url } = args;
    const given: GivenLogin = {
      servicePrincipal: args["service-principal"],
      secretPath: args["secret-file"],
      certificatePath: args["cert-file"],
      tlsCaCertificates: args["tls-certificates"],
      useDeviceCode: args["use-device-code"],
    };
    const hasOptions = Object.values(given).some(Boolean);
    if (local && (url !== undefined || file !== undefined)) {
      throw new Error("--local cannot be combined with a URL or --file");
    }
    if (local && hasOptions) throw new Error("--local can be combined with --proxy only");
    const options =
      local || url !== undefined ? { ...given, serverUrl: url } : { ...(await optionsIn(file)), ...defined(given) };
    const service = serviceOf(options);
    const { tlsCaCertificates = "os" } = options;
    const ca = certificatesOf(tlsCaCertificates);
    const client = (address: ServerAddress) =>
      createClient(address, { ...httpOptionsOf({ log, globals }), ca, retry: false });
    const loginFile = host.config.loginFile;
    if (loginFile === undefined) throw new Error("there is no folder for the login file: set TYGER_CACHE_FILE or HOME");
    const address = local
      ? await firstAnswering(await host.config.localSockets(), (one) => client(one).metadata())
      : parseServerUrl(options.serverUrl ?? "");
    const login: Login = {
      serverUrl: storedUrlOf(address),
      proxy: globals.proxy ?? options.proxy ?? "auto",
      ...(tlsCaCertificates !== "os" && {
        tlsCaCertificates: tlsCaCertificates === "embedded" ? tlsCaCertificates : resolve(tlsCaCertificates),
      }),
    };
    const metadata = local ? {} : await client(address).metadata();
    if (!metadata.authority) return writeLogin(loginFile, login);
    if (address.kind === "tcp" && !isSafeUrl(address.baseUrl)) {
      log.warn("The server is not reached over TLS: others on the network can read the token");
    }
    const { logIn } = await import("../../../client/auth/log-in.ts");
    const { onRequest } = httpOptionsOf({ log, globals });
    const tell = ({ url: page, code }: { url: string; code: string }): Promise<void> =>
      writeAll(host.stdout, `To log in, open ${page} in a browser and enter the code ${code}\n`);
    writeLogin(loginFile, { ...login, ...(await logIn(metadata, { service, tell, ca, onRequest })) });
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

/** The options of a login, from flags or from a file. */
interface GivenLogin {
  serverUrl?: string | undefined;
  proxy?: string | undefined;
  servicePrincipal?: string | undefined;
  secretPath?: string | undefined;
  certificatePath?: string | undefined;
  tlsCaCertificates?: string | undefined;
  useDeviceCode?: boolean;
}

const defined = (given: GivenLogin): GivenLogin =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== false));

/** @throws Error for flags that exclude each other */
function serviceOf(given: GivenLogin): ServiceLogin | undefined {
  const { servicePrincipal: clientId, secretPath, certificatePath, useDeviceCode } = given;
  if (clientId === undefined) {
    if (certificatePath !== undefined) throw new Error("--cert-file requires --service-principal");
    if (secretPath !== undefined) throw new Error("--secret-file requires --service-principal");
    return undefined;
  }
  if (useDeviceCode) throw new Error("--service-principal cannot be combined with --use-device-code");
  if (certificatePath !== undefined && secretPath !== undefined) {
    throw new Error("--cert-file cannot be combined with --secret-file");
  }
  // Commands in other folders read the file again.
  if (certificatePath !== undefined) return { clientId, certPath: resolve(certificatePath) };
  if (secretPath !== undefined) return { clientId, secretPath: resolve(secretPath) };
  throw new Error("--service-principal requires --secret-file or --cert-file");
}

/** Paths in the file start at its folder. */
async function optionsIn(file: string | undefined): Promise<GivenLogin> {
  if (file === undefined) throw new Error("a server URL, --file or --local is required");
  const options = (await readYamlFile(file, LOGIN_FILE)) as GivenLogin;
  if (!options.serverUrl) throw new Error(`the file '${file}' has no serverUrl`);
  const { proxy, secretPath, certificatePath, tlsCaCertificates: trusted } = options;
  const below = (path: string): string => resolve(dirname(file), path);
  return {
    ...options,
    ...(proxy !== undefined && { proxy: proxyOf(proxy, file) }),
    ...(secretPath !== undefined && { secretPath: below(secretPath) }),
    ...(certificatePath !== undefined && { certificatePath: below(certificatePath) }),
    ...(trusted !== undefined && !["os", "embedded"].includes(trusted) && { tlsCaCertificates: below(trusted) }),
  };
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
  object: {
    serverUrl: "text",
    proxy: "text",
    servicePrincipal: "text",
    secretPath: "text",
    certificatePath: "text",
    tlsCaCertificates: "text",
    port: "integer",
    allowedClientCIDRs: "textList",
    logPath: "text",
  },
} as const;
