import { expect, test } from "vitest";
import { bundleWorkflows } from "../../worker/workflow-bundle.ts";

test("the workflow bundle contains neither zod nor anything that does I/O", async () => {
  const { code } = await bundleWorkflows();
  expect(code).toContain("runWorkflow");
  expect(code).not.toMatch(/node_modules\/(zod|pino|dockerode|postgres|drizzle-orm|fastify)\//);
});
