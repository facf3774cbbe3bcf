import { randomBytes } from "node:crypto";
import { base32, BUFFER_ID, type Buffer } from "../model/buffer/buffer.ts";
import { bufferParametersOf, type JobCodespec } from "../model/codespec/codespec.ts";
import { CodedError } from "../model/errors.ts";
import type { NewBuffer } from "../model/ports/records.ts";
import { outputsOf, type RunOutput } from "../model/run/outputs.ts";
import type { RunRequest } from "../model/run/run.ts";
import { checkTags } from "../model/tags.ts";
import { storedInstant } from "../model/time/instant.ts";
import { parseTimeSpan } from "../model/time/time-span.ts";

/** The buffers of a run: an id for each parameter, those to create, those that must exist, and those to be written. */
export interface RunBuffers {
  ids: Record<string, string>;
  created: NewBuffer[];
  given: string[];
  /** The given ones that are outputs. */
  givenOutputs: RunOutput[];
}

export const newBufferId = (): string => base32(randomBytes(16));

/**
 * Settles the buffer of each parameter of the job; those to create will be in `location`.
 * @throws CodedError InvalidInput for an argument without a parameter, a malformed id, two outputs with one buffer, and
 * bad tags
 */
export function settleBuffers(
  codespec: JobCodespec,
  { buffers = {}, tags = {}, bufferTtl }: Pick<RunRequest["job"], "buffers" | "tags" | "bufferTtl">,
  { nowMs, location }: { nowMs: number; location: string },
): RunBuffers {
  const parameters = bufferParametersOf(codespec).map(({ name }) => name);
  const given = new Map(Object.entries(buffers));
  for (const [name, id] of given) {
    if (!parameters.includes(name)) {
      throw new CodedError("InvalidInput", `The codespec has no buffer parameter '${name}'`);
    }
    if (id === "_") {
      throw new CodedError("InvalidInput", `The ephemeral buffer '_' of '${name}' is not supported by this server yet`);
    }
    if (!BUFFER_ID.test(id)) throw bufferNotFound(id);
  }
  const givenOutputs = outputsOf({ codespec, buffers });
  refuseDouble(givenOutputs);
  checkTags(tags);
  const expiresAt =
    bufferTtl === undefined
      ? undefined
      : storedInstant(new Date(nowMs + parseTimeSpan(bufferTtl) * 1000).toISOString());
  const created = new Map<string, NewBuffer>();
  for (const name of parameters.filter((parameter) => !given.has(parameter))) {
    const bufferTags = { ...tags, bufferName: name };
    checkTags(bufferTags);
    created.set(name, {
      id: newBufferId(),
      location,
      tags: bufferTags,
      ...(expiresAt !== undefined && { expiresAt }),
    });
  }
  return {
    ids: Object.fromEntries(parameters.map((name) => [name, given.get(name) ?? created.get(name)?.id ?? ""])),
    created: [...created.values()],
    given: [...new Set(given.values())],
    givenOutputs,
  };
}

/** @throws CodedError InvalidInput: a buffer is written once */
function refuseDouble(outputs: readonly RunOutput[]): void {
  for (const [at, { parameter, bufferId }] of outputs.entries()) {
    const first = outputs.slice(0, at).find((output) => output.bufferId === bufferId);
    if (!first) continue;
    const outputsOfBoth = `both '${first.parameter}' and '${parameter}'`;
    throw new CodedError(
      "InvalidInput",
      `The buffer '${bufferId}' is given for ${outputsOfBoth}; give each output its own`,
    );
  }
}

/** @throws CodedError InvalidInput when the buffer cannot be an argument: unknown, soft-deleted or expired */
export function checkArgument(id: string, buffer: Buffer | undefined, nowMs: number): void {
  const isUsable =
    buffer !== undefined &&
    buffer.isSoftDeleted !== true &&
    (buffer.expiresAt === undefined || Date.parse(buffer.expiresAt) > nowMs);
  if (!isUsable) throw bufferNotFound(id);
}

/** Clients compare this text. */
export const bufferNotFound = (id: string): CodedError =>
  new CodedError("InvalidInput", `The buffer '${id}' was not found`);
