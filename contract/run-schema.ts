import { z } from "zod";
import { CODESPEC_REFERENCE } from "../model/codespec/codespec.ts";
import { codespecSchema } from "./codespec-schema.ts";
import { CodedError } from "../model/errors.ts";
import { inputInt, inputMap, inputObject, parsedText } from "./input-schema.ts";
import { DEFAULT_TIMEOUT_SECONDS } from "../model/run/run.ts";
import { formatTimeSpan, parseTimeSpan } from "../model/time/time-span.ts";

/** A century: more is a slip, and ends beyond what a timestamp can say. */
const MAX_TTL_SECONDS = 36_525 * 86_400;

const timeSpanSchema = (minSeconds: number, maxSeconds: number) =>
  parsedText((text) => {
    const seconds = parseTimeSpan(text);
    if (seconds < minSeconds || seconds > maxSeconds) {
      const [min, max] = [formatTimeSpan(minSeconds), formatTimeSpan(maxSeconds)];
      throw new CodedError("InvalidInput", `The time span '${text}' is not between ${min} and ${max}`);
    }
    return formatTimeSpan(seconds);
  });

const codespecOrReference = z.unknown().transform((value, ctx) => {
  if (typeof value !== "string") {
    const parsed = codespecSchema.safeParse(value);
    if (parsed.success) return { inline: parsed.data.codespec };
    for (const { path, message } of parsed.error.issues) ctx.addIssue({ code: "custom", path, message, input: value });
    return z.NEVER;
  }
  const { name, version } = CODESPEC_REFERENCE.exec(value)?.groups ?? {};
  if (name !== undefined) return { name, ...(version !== undefined && { version: Number(version) }) };
  ctx.addIssue({
    code: "custom",
    message: `the codespec reference '${value}' is not of the form 'name' or 'name/versions/N'`,
    input: value,
  });
  return z.NEVER;
});

const targetFields = {
  codespec: codespecOrReference,
  nodePool: z.string().optional(),
  replicas: inputInt(0).default(1),
};

const jobSchema = inputObject({
  ...targetFields,
  buffers: inputMap(z.string()).optional(),
  tags: inputMap(z.string()).optional(),
  bufferTtl: timeSpanSchema(0, MAX_TTL_SECONDS).optional(),
});

/** The body of `POST /runs`; what the server sets is accepted and ignored. */
export const newRunSchema = inputObject({
  kind: z.enum(["user", "system"]).optional(),
  id: z.unknown().optional(),
  eTag: z.unknown().optional(),
  status: z.unknown().optional(),
  statusReason: z.unknown().optional(),
  runningCount: z.unknown().optional(),
  createdAt: z.unknown().optional(),
  startedAt: z.unknown().optional(),
  finishedAt: z.unknown().optional(),
  job: jobSchema,
  worker: inputObject(targetFields).optional(),
  timeoutSeconds: inputInt(1).default(DEFAULT_TIMEOUT_SECONDS),
  cluster: z.string().optional(),
  tags: inputMap(z.string()).optional(),
  bufferAccessTtl: timeSpanSchema(30, 3600).default("01:00:00"),
});

export type RunInput = z.infer<typeof newRunSchema>;
export type CodespecChoice = RunInput["job"]["codespec"];
