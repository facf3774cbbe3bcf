import { Agent, request } from "node:https";
import { createSecureContext, getCACertificates } from "node:tls";

export const httpsRequest = request;

const agents = new Map<string | undefined, Agent>();

/**
 * The agent for servers whose certificates `ca` vouches for, or by default the machine's certificates. It is kept: to read a hundred
 * certificates takes longer than a request.
 */
export function secureAgent(ca: string | undefined): Agent {
  const known = agents.get(ca);
  if (known) return known;
  const secureContext = createSecureContext({ ca: ca ?? machineCertificates() });
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 64, secureContext });
  agents.set(ca, agent);
  return agent;
}

/** Those of the operating system and of NODE_EXTRA_CA_CERTS. In an image without any, those that the runtime brings along. */
function machineCertificates(): string[] {
  const system = getCACertificates("system");
  const trusted = system.length > 0 ? system : getCACertificates("bundled");
  return [...new Set([...trusted, ...getCACertificates("extra")])];
}
