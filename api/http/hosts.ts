import { BlockList, isIP } from "node:net";
import type { IncomingHttpHeaders } from "node:http";
import { CodedError } from "../../model/errors.ts";

const HOST = /^(?:\[(?<ip6>[0-9a-fA-F:.]+)\]|(?<name>[\w.-]+))(?::[0-9]{1,5})?$/;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether only this machine can connect to `ip`. */
export const isLoopback = (ip: string): boolean => {
  const version = isIP(ip);
  return version !== 0 && LOOPBACK.check(ip, version === 4 ? "ipv4" : "ipv6");
};

/** The name or address in `host` or `host:port`, in lower case; undefined for anything else. */
export function hostnameOf(host: string): string | undefined {
  const { ip6, name } = HOST.exec(host)?.groups ?? {};
  return (ip6 ?? name)?.toLowerCase();
}

/** Whether only this machine can connect to `host:port`. */
export function isOwnAddress(listen: string): boolean {
  const name = hostnameOf(listen) ?? "";
  return name === "localhost" || isLoopback(name);
}

/** The name in the `host:port` that a server listens on; "all addresses" has none. */
export function ownNamesOf(listen: string): string[] {
  const name = hostnameOf(listen);
  return name === undefined || name === "0.0.0.0" || name === "::" ? [] : [name];
}

/** Whether a request is for this server. @throws CodedError Forbidden */
export type CheckHost = (headers: IncomingHttpHeaders) => void;

/**
 * The check of requests that come over TCP. Without it, the page of any site that a browser on this machine shows could use the
 * server: its name can be made to resolve to this machine (DNS rebinding), and a form on it can be sent to `localhost`.
 * @param names the names of the server beside those of loopback
 */
export function createHostCheck(names: readonly string[]): CheckHost {
  const known = new Set(["localhost", ...names.map((name) => hostnameOf(name))]);
  const isKnown = (name: string | undefined): boolean => name !== undefined && (known.has(name) || isLoopback(name));
  return ({ host = "", origin }) => {
    if (!isKnown(hostnameOf(host))) {
      const advice = "use one of its names, or add this one to 'controlPlane.publicNames' in its configuration file";
      throw new CodedError("Forbidden", `The host '${host.slice(0, 200)}' is not a name of this server; ${advice}`);
    }
    if (origin === undefined) return;
    if (!URL.canParse(origin) || !isKnown(hostnameOf(new URL(origin).host))) {
      throw new CodedError("Forbidden", `Pages of '${origin.slice(0, 200)}' cannot use this server`);
    }
  };
}
