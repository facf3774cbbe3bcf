import { makeStack, type TestStack } from "../e2e/stack.ts";
import { findGcsEmulator, startGcsEmulator } from "../fakes/gcs-emulator.ts";
import { shell } from "./commands.ts";
import { timed, type Comparison } from "./measure.ts";

/** A small job on a stack whose buffers are in a bucket of an emulator, beside the same job on the stack of the bench. */
export function bucketJobComparison(stack: TestStack, runFile: string): Comparison {
  const inBucket = openOnce();
  const job = ({ env }: TestStack) => timed(() => shell(`echo x | tyger run exec -f ${runFile} 2> /dev/null`, env));
  return {
    name: "bucket-job",
    unit: "ms",
    repeats: 21,
    ours: async () => job((await inBucket.open()).stack),
    rival: () => job(stack),
    rivalName: "the same with buffers in a folder",
    budget: { p50: 1 },
    allowanceMs: 150,
    close: () => inBucket.close(),
  };
}

function openOnce() {
  const open = async () => {
    const found = await findGcsEmulator();
    if ("why" in found) throw new Error(found.why);
    const emulator = await startGcsEmulator(found.program);
    const stack = await makeStack({ env: { STORAGE_EMULATOR_HOST: emulator.endpoint } });
    const store = `gs://${emulator.bucket}`;
    const { code, stderr } = await stack.tyger(["up", "--store", store], { limitMs: 180_000 });
    if (code !== 0) throw new Error(`tyger up --store failed: ${stderr}`);
    return { stack, emulator };
  };
  let opened: ReturnType<typeof open> | undefined;
  return {
    open: () => (opened ??= open()),
    async close(): Promise<void> {
      const parts = await opened?.catch(() => undefined);
      await parts?.stack.down();
      await parts?.emulator.close();
    },
  };
}
