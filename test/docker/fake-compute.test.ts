import { describeCompute } from "../ports/compute.ts";
import { createFakeCompute } from "../fakes/compute.ts";
import { createFakeClaims } from "../fakes/launch-claims.ts";
import { runOf } from "./rig.ts";

describeCompute("the fake", async () => {
  const claims = createFakeClaims();
  const fake = createFakeCompute(claims);
  return {
    ...fake,
    claims,
    anotherWriter: () => fake.writer,
    run: (script) => {
      const given = runOf({
        kind: "job",
        image: "image",
        ...(script.hasBuffers ? { buffers: { inputs: ["in"], outputs: ["out"] } } : {}),
      });
      const run = { ...given, replicaCount: script.replicas ?? 1 };
      fake.scripts.set(run.id, script);
      return run;
    },
    begins: (run) => fake.begins.get(run.id) ?? 0,
    close: async () => undefined,
  };
});
