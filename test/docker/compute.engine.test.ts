import { describeCompute } from "../contract/compute.ts";
import { openDockerRig } from "./rig.ts";

describeCompute("Docker", () => openDockerRig());
