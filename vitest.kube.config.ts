import { defineConfig } from "vitest/config";

/** Tests on a real Kubernetes cluster: `vitest run --config vitest.kube.config.ts`. The project `kube` of vitest.config.ts by another name. */
export default defineConfig({
  test: {
    name: "kube",
    reporters: ["default", "./test/count-reporter.ts"],
    globalSetup: ["test/k8s/setup-cluster.ts"],
    setupFiles: ["test/k8s/start-cluster.ts"],
    include: ["test/**/*.kube.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
