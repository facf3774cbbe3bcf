import type { Reporter, SerializedError, TestModule } from "vitest/node";

/** Ends the output with `N passed, N failed, N skipped`, and says why anything was skipped. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 };
    for (const module of modules) {
      // A module that could not be loaded, or whose hooks failed, has failed even if no test of it ran.
      counts.failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") counts.passed += 1;
        else if (result.state === "failed") counts.failed += 1;
        else {
          counts.skipped += 1;
          const reason = result.state === "skipped" ? (result.note ?? "no reason given") : "it did not run";
          process.stdout.write(`skipped: ${test.fullName}: ${reason}\n`);
        }
      }
      for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    }
    process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
  }
}
