import { describeCompute } from "../ports/compute.ts";
import { openDockerRig } from "./rig.ts";

describeCompute("Docker", () => openDockerRig());
