import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { bundlePodPump } from "../../pump/pod-bundle.ts";

const MIB = 1024 * 1024;

test("the pump of pods fits into a ConfigMap, and needs nothing but Node", async () => {
  const text = await bundlePodPump();
  const folder = mkdtempSync(join(tmpdir(), "pod-pump-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "pump.mjs");
  writeFileSync(program, text);
  // With its name and labels, and room to grow.
  expect(Buffer.byteLength(text)).toBeLessThan(MIB / 2);
  // Without instructions there is nothing to do.
  await promisify(execFile)(process.execPath, [program, folder], { cwd: "/", env: {} });
});
