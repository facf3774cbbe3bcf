import type { LaunchClaim, LaunchClaims } from "../../model/ports/compute.ts";

/** Launch claims in memory. `refused` holds runs that must not be launched (ended, or canceled). */
export function createFakeClaims(): LaunchClaims & { refused: Set<number> } {
  const claims = new Map<number, LaunchClaim>();
  const refused = new Set<number>();
  const copy = (claim: LaunchClaim | undefined): LaunchClaim | undefined => claim && { ...claim };
  return {
    refused,
    async claim(runId, replica, attempt) {
      if (refused.has(runId)) return undefined;
      const claim = claims.get(runId) ?? { runId, replica, attempt, state: "claimed" };
      claims.set(runId, claim);
      return copy(claim);
    },
    find: async (runId) => copy(claims.get(runId)),
    async recordContainer(runId, _replica, attempt, containerId) {
      const claim = claims.get(runId);
      if (claim?.attempt !== attempt || claim.state !== "claimed") return false;
      claim.containerId = containerId;
      return true;
    },
    async recordLaunched(runId, _replica, attempt) {
      const claim = claims.get(runId);
      if (claim?.attempt !== attempt || claim.state === "removed") return false;
      claim.state = "launched";
      return true;
    },
    async takeOver(runId, replica, from, to) {
      const claim = claims.get(runId);
      if (claim?.attempt !== from || claim.state !== "claimed") return false;
      claims.set(runId, { runId, replica, attempt: to, state: "claimed" });
      return true;
    },
    async markRemoved(runId, replica) {
      const claim = claims.get(runId);
      claims.set(runId, { ...(claim ?? { runId, replica, attempt: "" }), state: "removed" });
      return claim && copy(claims.get(runId));
    },
  };
}
