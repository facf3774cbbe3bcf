import { bufferParametersOf } from "../codespec/codespec.ts";
import type { JobTarget } from "./run.ts";

/** An output parameter of a run and the buffer behind it. */
export interface RunOutput {
  parameter: string;
  bufferId: string;
}

/** The buffers that a run writes, which no other run can have meanwhile. */
export function outputsOf({ codespec, buffers }: Pick<JobTarget, "codespec" | "buffers">): RunOutput[] {
  const ids = new Map(Object.entries(buffers ?? {}));
  return bufferParametersOf(codespec).flatMap(({ name, direction }) => {
    const bufferId = ids.get(name);
    return direction === "output" && bufferId !== undefined ? [{ parameter: name, bufferId }] : [];
  });
}

/** Whether the pump of a run can have a URL of the buffer: of each one of the run, and to write only its outputs. */
export const canAccess = (
  job: Pick<JobTarget, "codespec" | "buffers">,
  bufferId: string,
  isWriteable: boolean,
): boolean =>
  isWriteable
    ? outputsOf(job).some((output) => output.bufferId === bufferId)
    : Object.values(job.buffers ?? {}).includes(bufferId);
