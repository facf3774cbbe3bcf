import { unmappedOf } from "../../client/unmapped.ts";
import type { CodespecFile } from "../read/spec-file.ts";

/** The parameters that `run exec` connects to its stdin and stdout. */
export interface Unmapped {
  input?: string;
  output?: string;
}

/**
 * The parameters without a buffer of the user's; `_`, a buffer for the time of the run, is none.
 * @throws Error when stdin or stdout would have to serve two
 */
export function unmappedBuffers(
  codespec: Pick<CodespecFile, "buffers">,
  given: Readonly<Record<string, string>>,
): Unmapped {
  const { inputs, outputs } = unmappedOf(codespec, given);
  checkOne("input", inputs, "stdin");
  checkOne("output", outputs, "stdout");
  const [input] = inputs;
  const [output] = outputs;
  return { ...(input !== undefined && { input }), ...(output !== undefined && { output }) };
}

function checkOne(direction: string, names: readonly string[], stream: string): void {
  if (names.length < 2) return;
  const list = names.map((name) => `'${name}'`).join(", ");
  throw new Error(`${stream} can serve one ${direction} parameter only: give buffers for all but one of ${list}`);
}
