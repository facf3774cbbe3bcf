import { afterAll, beforeAll } from "vitest";
import { testRootJob } from "../ports/root-job.ts";
import { openDockerRig, type DockerRig } from "./rig.ts";

let rig: DockerRig;
beforeAll(async () => {
  rig = await openDockerRig();
});
afterAll(() => rig.close());

testRootJob(() => rig);
