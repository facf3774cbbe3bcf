import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startStack } from "../e2e/stack.ts";
import { comparisonsOf } from "./comparisons.ts";
import { compare } from "./measure.ts";

/** `npm run bench [-- NAME...] [--gib N]`: the budgets of the design against their rivals, on a stack of its own. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { gib: { type: "string", default: "1" } },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const dir = await mkdtemp(join(tmpdir(), "tyger-bench-"));
const stack = await startStack();
// Whoever has seen enough leaves no stack behind.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stack.down().finally(() => process.exit(1)));
}
try {
  const docker = (await stack.shell("docker version --format '{{.Server.Version}}'")).stdout.toString().trim();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  say(`${cpus().length} cores, ${memory}, Linux ${release()}, Node ${process.version}, Docker ${docker}`);
  say(`load before: ${loadavg()[0]?.toFixed(2)}; transfers of ${values.gib} GiB`);
  const comparisons = comparisonsOf({ stack, dir, bytes: Number(values.gib) * 2 ** 30 });
  const wanted = positionals.length === 0 ? comparisons : comparisons.filter(({ name }) => positionals.includes(name));
  if (wanted.length === 0)
    throw new Error(`There is nothing of this name: ${comparisons.map(({ name }) => name).join(", ")}`);
  // The run that is shown.
  await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Paul" });
  for (const comparison of wanted) for (const line of await compare(comparison)) say(line);
} finally {
  await stack.down();
  await rm(dir, { recursive: true, force: true });
}
