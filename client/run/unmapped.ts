import type { NewRun } from "../types.ts";

/** The part of a codespec that says which buffers its job needs; a worker needs none. */
interface Parameters {
  kind?: string;
  buffers?: { inputs?: readonly string[]; outputs?: readonly string[] };
}

/** The parameters for which the caller gave no buffer; `_`, a buffer for the time of the run, is none. */
export function unmappedOf(
  codespec: Parameters,
  given: NewRun["job"]["buffers"] = {},
): { inputs: string[]; outputs: string[] } {
  const isUnmapped = (name: string): boolean => !Object.hasOwn(given, name) || given[name] === "_";
  const { inputs = [], outputs = [] } = codespec.buffers ?? {};
  // The server refuses a name that is given twice, with a clear error.
  return { inputs: [...new Set(inputs)].filter(isUnmapped), outputs: [...new Set(outputs)].filter(isUnmapped) };
}
