import type { TestProject } from "vitest/node";

export default function setup(project: TestProject): void {
  project.provide("postgresUrl", "postgres://postgres@127.0.0.1:5544/postgres");
  project.provide("temporalAddress", "127.0.0.1:7300");
  project.provide("testImage", "ubuntu");
}
