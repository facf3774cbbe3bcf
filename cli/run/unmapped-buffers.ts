import { unmappedOf } from "../../client/run/unmapped.ts";
import type { CodespecFile } from "../read/spec-file.ts";

/** Parameters that `run exec` connects to stdin and stdout. */
export interface Unmapped {
  input?: string;
  output?: string;
}

/**
 * The parameters that the user gave no buffer for; `_`, a buffer only for the duration of the run, counts as none.
 * @throws Error when stdin would feed two inputs, or stdout carry two outputs
 */
export function unmappedBuffers(
  codespec: Pick<CodespecFile, "buffers">,
  given: Readonly<Record<string, string>>,
): Unmapped {
  const { inputs, outputs } = unmappedOf(codespec, given);
  checkOne(inputs, "stdin can feed only one input");
  checkOne(outputs, "stdout can carry only one output");
  const [input] = inputs;
  const [output] = outputs;
  return { ...(input !== undefined && { input }), ...(output !== undefined && { output }) };
}

function checkOne(names: readonly string[], reason: string): void {
  if (names.length < 2) return;
  const list = names.map((name) => `'${name}'`).join(", ");
  throw new Error(`${reason}; use --buffer for all but one of ${list}`);
}
