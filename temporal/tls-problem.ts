import { connect as connectPlain, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { errnoOf, messageOf } from "../model/errors.ts";
import type { TemporalTarget } from "./target.ts";

const ANSWER_MS = 3000;
/** The first bytes of a client of HTTP/2: the preface, and settings without a setting. */
const HELLO = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
const UNTRUSTED =
  /^(?:UNABLE_TO_|SELF_SIGNED_CERT_IN_CHAIN$|DEPTH_ZERO_SELF_SIGNED_CERT$|CERT_SIGNATURE_FAILURE$|CERT_UNTRUSTED$|INVALID_CA$)/;

/**
 * Why no connection to Temporal can work, in words for a user; undefined if TLS is not the reason. The clients of Temporal have
 * several texts for each reason, and none for some.
 */
export function tlsProblemOf(target: TemporalTarget): Promise<string | undefined> {
  return target.tls || target.apiKey !== undefined ? problemOverTls(target) : problemWithoutTls(target);
}

/** A server that answers a client of HTTP/2 has accepted its certificate. */
async function problemOverTls({ address, tls = {} }: TemporalTarget): Promise<string | undefined> {
  const { host, port } = placeOf(address);
  let isSecure = false;
  const failure = await new Promise<unknown>((resolve) => {
    const socket: TLSSocket = connect({
      host,
      port,
      ALPNProtocols: ["h2"],
      // An address is not a name.
      servername: tls.serverName ?? (/^[\d.]+$|:/.test(host) ? "" : host),
      ...(tls.ca && { ca: tls.ca }),
      ...(tls.client && { cert: tls.client.certificate, key: tls.client.key }),
    });
    socket.setTimeout(ANSWER_MS, () => end(socket, undefined, resolve));
    socket.once("secureConnect", () => {
      isSecure = true;
      socket.write(HELLO);
    });
    socket.once("data", () => end(socket, undefined, resolve));
    socket.once("error", (err) => end(socket, err, resolve));
    socket.once("close", () => end(socket, isSecure ? new Error("closed") : undefined, resolve));
  });
  return failure === undefined ? undefined : wordsFor(failure, { isSecure, hasClient: tls.client !== undefined });
}

/** A server that shakes hands over TLS wants TLS. */
async function problemWithoutTls({ address }: TemporalTarget): Promise<string | undefined> {
  const { host, port } = placeOf(address);
  const isTls = await new Promise<unknown>((resolve) => {
    const socket = connect({ socket: connectPlain({ host, port }), ALPNProtocols: ["h2"], rejectUnauthorized: false });
    socket.setTimeout(ANSWER_MS, () => end(socket, false, resolve));
    socket.once("secureConnect", () => end(socket, true, resolve));
    socket.once("error", () => end(socket, false, resolve));
    socket.once("close", () => end(socket, false, resolve));
  });
  return isTls === true ? "it requires TLS: set 'temporal.tls' in the configuration file" : undefined;
}

function end(socket: Socket, result: unknown, resolve: (result: unknown) => void): void {
  resolve(result);
  socket.destroy();
}

function wordsFor(
  err: unknown,
  { isSecure, hasClient }: { isSecure: boolean; hasClient: boolean },
): string | undefined {
  const code = errnoOf(err) ?? "";
  if (code === "CERT_HAS_EXPIRED") return "its certificate has expired";
  if (code === "CERT_NOT_YET_VALID") return "its certificate is not valid yet";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return "its certificate is for another name; 'temporal.tls.serverName' sets the name";
  if (UNTRUSTED.test(code))
    return "its certificate is from an authority that is not trusted; 'temporal.tls.ca' is the file of its authority";
  if (/^ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code)) return "it does not use TLS";
  // A server answers a handshake that it dislikes with an alert, or after it with nothing.
  if (isSecure || code.includes("ALERT")) {
    return hasClient
      ? "it does not accept our certificate"
      : "it requires a certificate of ours: 'temporal.tls.certificate'";
  }
  return code.startsWith("ERR_SSL_") ? messageOf(err) : undefined;
}

function placeOf(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}
