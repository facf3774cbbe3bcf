import { resolve } from "node:path";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import { expect, test } from "vitest";

test("the workflow bundle contains neither zod nor anything that does I/O", async () => {
  const { code } = await bundleWorkflowCode({
    workflowsPath: resolve(import.meta.dirname, "../../workflows/index.ts"),
    logger: new DefaultLogger("ERROR"),
  });
  expect(code).toContain("runWorkflow");
  expect(code).not.toMatch(/node_modules\/(zod|pino|dockerode|postgres|drizzle-orm|fastify)\//);
});
