import { build } from "rolldown";

/**
 * The pump as one file that needs nothing but Node, for pods: a cluster has it in an object of at most 1 MiB.
 * @see docs/decisions/0160-a-pump-without-an-image.md
 */
export async function bundlePodPump(): Promise<string> {
  const { output } = await build({
    input: `${import.meta.dirname}/main.ts`,
    platform: "node",
    transform: { target: "node22" },
    write: false,
    output: { format: "esm", codeSplitting: false, minify: true },
  });
  const [main, ...others] = output;
  if (main.type !== "chunk" || others.length > 0) throw new Error("The pump of pods is more than one file");
  return main.code;
}
