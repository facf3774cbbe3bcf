import { bufferParametersOf } from "../codespec/codespec.ts";
import { CodedError } from "../errors.ts";
import type { PumpPipe } from "./pump.ts";
import type { RunRecord } from "./run.ts";

/** The pipes of a run's buffers. @throws CodedError LaunchFailed */
export function pipesOf(run: RunRecord): PumpPipe[] {
  return bufferParametersOf(run.job.codespec).map(({ name, direction }) => {
    if (!/^[^/\0]{1,200}$/.test(name))
      throw new CodedError("LaunchFailed", `The parameter '${name}' cannot name a pipe`);
    const bufferId = run.job.buffers?.[name];
    if (bufferId === undefined) throw new CodedError("LaunchFailed", `The parameter '${name}' has no buffer`);
    return { parameter: name, direction, bufferId };
  });
}

/** Whether the replicas of a run have pumps. */
export const hasPump = (run: Pick<RunRecord, "job">): boolean => bufferParametersOf(run.job.codespec).length > 0;
