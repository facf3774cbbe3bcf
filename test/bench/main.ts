import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startStack } from "../e2e/stack.ts";
import { comparisonsOf, limitsOf } from "./comparisons.ts";
import { runStores } from "./many-runs.ts";
import { check, compare } from "./measure.ts";

/** `npm run bench [-- NAME...] [--gib N]`: the budgets of the design against their rivals, on a stack of its own. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { gib: { type: "string", default: "1" } },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const dir = await mkdtemp(join(tmpdir(), "tyger-bench-"));
const stack = await startStack();
const stores = runStores(stack);
// A user who interrupts the bench leaves no stack behind.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stack.down().finally(() => process.exit(1)));
}
try {
  const docker = (await stack.shell("docker version --format '{{.Server.Version}}'")).stdout.toString().trim();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  say(`${cpus().length} cores, ${memory}, Linux ${release()}, Node ${process.version}, Docker ${docker}`);
  say(`load before: ${loadavg()[0]?.toFixed(2)}; transfers of ${values.gib} GiB`);
  const place = { stack, dir, bytes: Number(values.gib) * 2 ** 30, stores };
  const parts = [
    ...comparisonsOf(place).map((comparison) => ({ name: comparison.name, report: () => compare(comparison) })),
    ...limitsOf(place).map((limits) => ({ name: limits.name, report: () => check(limits) })),
  ];
  const names = parts.map(({ name }) => name);
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`There is no '${unknown}'; there are ${names.join(", ")}`);
  const wanted = positionals.length === 0 ? parts : parts.filter(({ name }) => positionals.includes(name));
  // The run that is shown.
  await stack.tyger(["run", "exec", "-f", "examples/hello.yml"], { input: "Paul" });
  for (const { report } of wanted) for (const line of await report()) say(line);
} finally {
  await stores.close();
  await stack.down();
  await rm(dir, { recursive: true, force: true });
}
