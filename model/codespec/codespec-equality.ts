import type { Codespec, CodespecResources } from "./codespec.ts";
import { canonicalJson } from "../etag.ts";
import { quantityValue } from "./quantity.ts";

/**
 * Whether two codespecs say the same, so that putting one after the other makes no version: `args` and `command` in
 * order; `env`, `endpoints` and buffer parameters in any; quantities by value. What the server sets is not looked at.
 */
export const isSameCodespec = (a: Codespec, b: Codespec): boolean => comparable(a) === comparable(b);

function comparable(codespec: Codespec): string {
  const { kind, image, command, args, workingDir, env, identity, maxReplicas } = codespec;
  const resources = codespec.resources && valuesOf(codespec.resources);
  const shared = { kind, image, command, args, workingDir, env, identity, maxReplicas, resources };
  if (codespec.kind === "worker") return canonicalJson({ ...shared, endpoints: codespec.endpoints });
  const { buffers, sockets } = codespec;
  return canonicalJson({
    ...shared,
    inputs: buffers?.inputs?.toSorted(),
    outputs: buffers?.outputs?.toSorted(),
    sockets,
  });
}

const valueOf = (quantity: string | undefined): number | undefined =>
  quantity === undefined ? undefined : quantityValue(quantity);

function valuesOf({ requests, limits, gpu, shm }: CodespecResources): unknown {
  const pairOf = (pair: CodespecResources["requests"]) => pair && [valueOf(pair.cpu), valueOf(pair.memory)];
  return { requests: pairOf(requests), limits: pairOf(limits), gpu: valueOf(gpu), shm: valueOf(shm) };
}
