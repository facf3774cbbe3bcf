import { CodedError } from "../../model/errors.ts";
import type { LaunchClaim, LaunchClaims } from "../../model/ports/compute.ts";
import { belongsToAnother, textOf, type RunIdentity } from "../../model/run/identity.ts";

const ownerOf = ({ id, uid }: RunIdentity): Pick<LaunchClaim, "runId" | "runUid"> => ({
  runId: id,
  ...(uid === undefined ? {} : { runUid: uid }),
});

const keyOf = (run: RunIdentity, replica: number): string => `${textOf(run)} ${replica}`;

/** Launch claims in memory. `refused` holds runs that must not be launched (ended, or canceled). */
export function createFakeClaims(): LaunchClaims & { refused: Set<number> } {
  const claims = new Map<string, LaunchClaim>();
  const refused = new Set<number>();
  const copy = (claim: LaunchClaim | undefined): LaunchClaim | undefined => claim && { ...claim };
  return {
    refused,
    async claim(run, replica, attempt) {
      if (refused.has(run.id)) return undefined;
      const foreign = [...claims.values()].some(({ runId, runUid }) => runId === run.id && runUid !== run.uid);
      if (foreign) throw new CodedError("LaunchFailed", belongsToAnother("The launch claim", run.id));
      const claim = claims.get(keyOf(run, replica)) ?? { ...ownerOf(run), replica, attempt, state: "claimed" };
      claims.set(keyOf(run, replica), claim);
      return copy(claim);
    },
    find: async (run, replica) => copy(claims.get(keyOf(run, replica))),
    findAll: async (run) =>
      [...claims.values()]
        .filter(({ runId, runUid }) => runId === run.id && runUid === run.uid)
        .map((claim) => ({ ...claim })),
    async recordContainer(run, replica, attempt, containerId) {
      const claim = claims.get(keyOf(run, replica));
      if (claim?.attempt !== attempt) return false;
      if (claim.state === "launched") return claim.containerId === containerId;
      if (claim.state !== "claimed") return false;
      claim.containerId = containerId;
      return true;
    },
    async recordLaunched(run, replica, attempt) {
      const claim = claims.get(keyOf(run, replica));
      if (claim?.attempt !== attempt || claim.state === "removed") return false;
      claim.state = "launched";
      return true;
    },
    async forgetContainer(run, replica, containerId) {
      const claim = claims.get(keyOf(run, replica));
      if (claim?.containerId === containerId && claim.state !== "launched") delete claim.containerId;
    },
    async takeOver(run, replica, from, to) {
      const claim = claims.get(keyOf(run, replica));
      if (claim?.attempt !== from || claim.state !== "claimed") return false;
      claims.set(keyOf(run, replica), { ...ownerOf(run), replica, attempt: to, state: "claimed" });
      return true;
    },
    async markRemoved(run, replica) {
      const claim = claims.get(keyOf(run, replica));
      claims.set(keyOf(run, replica), { ...(claim ?? { ...ownerOf(run), replica, attempt: "" }), state: "removed" });
      return claim && copy(claims.get(keyOf(run, replica)));
    },
  };
}
