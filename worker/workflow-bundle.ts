import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundle } from "@temporalio/worker";

const fileOf = (path: string): string => fileURLToPath(new URL(`../workflows/${path}`, import.meta.url));

/** The workflows with all that they run with: a worker takes these from its bundle, whatever its own options say. */
export const bundleWorkflows = (): Promise<WorkflowBundle> =>
  bundleWorkflowCode({
    workflowsPath: fileOf("index.ts"),
    workflowInterceptorModules: [fileOf("interceptors.ts")],
    payloadConverterPath: fileOf("payload-converter.ts"),
    logger: new DefaultLogger("WARN"),
  });
