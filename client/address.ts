import { resolve } from "node:path";

/** Where a server answers. */
export type ServerAddress =
  | { kind: "unix"; socketPath: string }
  | {
      kind: "tcp";
      /** `http://host:port` or `https://host`, with a path where there is one, without a trailing slash. */
      baseUrl: string;
    };

/** The address in a URL as users give it to `login` and as the login file keeps it. @throws Error */
export function parseServerUrl(text: string): ServerAddress {
  const socket = /^(?:http\+)?unix:(?:\/\/)?(?<path>[^:]+?):?\/?$/.exec(text)?.groups?.["path"];
  if (socket !== undefined) return { kind: "unix", socketPath: resolve(socket) };
  if (/^(?:ssh|docker):\/\//.test(text)) {
    throw new Error(
      `servers behind '${text.slice(0, text.indexOf(":"))}://' are not supported; use http://, https:// or unix://`,
    );
  }
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) {
    throw new Error(`'${text}' is not an absolute server URL`);
  }
  const url = new URL(text);
  if (url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new Error(`the server URL '${text}' may contain only a host, a port, and a path`);
  }
  return { kind: "tcp", baseUrl: url.href.replace(/\/+$/, "") };
}

/** How the login file spells an address; other clients read it too. */
export const storedUrlOf = (address: ServerAddress): string =>
  address.kind === "unix" ? `http+unix://${address.socketPath}:` : address.baseUrl;

/** The spelling for people: without the scheme and the colon that only programs need. */
export const shownUrlOf = (address: ServerAddress): string =>
  address.kind === "unix" ? `unix://${address.socketPath}` : address.baseUrl;
