import { z } from "zod";
import { checkCodespec } from "../model/codespec/codespec-rules.ts";
import type { Codespec, JobCodespec, WorkerCodespec } from "../model/codespec/codespec.ts";
import { inputErrorOf, inputInt, inputMap, inputObject, quantitySchema } from "./input-schema.ts";

const amountsSchema = inputObject({ cpu: quantitySchema.optional(), memory: quantitySchema.optional() });

const resourcesSchema = inputObject({
  requests: amountsSchema.optional(),
  limits: amountsSchema.optional(),
  gpu: quantitySchema.optional(),
  shm: quantitySchema.optional(),
});

const fields = {
  kind: z.string(),
  // The server sets these three.
  name: z.string().optional(),
  version: z.unknown().optional(),
  createdAt: z.unknown().optional(),
  image: z.string().trim().min(1, "the image must not be empty"),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  workingDir: z.string().optional(),
  env: inputMap(z.string()).optional(),
  identity: z.string().optional(),
  resources: resourcesSchema.optional(),
  maxReplicas: inputInt(0).optional(),
};

const jobSchema = inputObject(
  {
    ...fields,
    buffers: inputObject({
      inputs: z.array(z.string()).optional(),
      outputs: z.array(z.string()).optional(),
    }).optional(),
    sockets: z
      .array(
        inputObject(
          { port: inputInt(-(2 ** 31)), inputBuffer: z.string().optional(), outputBuffer: z.string().optional() },
          { unknown: "ignore" },
        ),
      )
      .optional(),
  },
  { exact: ["kind"] },
);

const workerSchema = inputObject(
  { ...fields, endpoints: inputMap(inputInt(1, 65_535)).optional() },
  { exact: ["kind"] },
);

/** A codespec in a request: what is stored of it, and the name that the body gave it, if any. */
export interface CodespecInput {
  codespec: Codespec;
  name?: string;
}

/** A codespec as clients send it; which of the two kinds it is decides what it may hold. */
export const codespecSchema = z.unknown().transform((value, ctx): CodespecInput => {
  const problem = kindProblemOf(value);
  if (problem !== undefined) {
    ctx.addIssue({ code: "custom", message: problem, input: value });
    return z.NEVER;
  }
  const parsed = hasKind(value, "job") ? jobSchema.safeParse(value) : workerSchema.safeParse(value);
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues.slice(0, 1).map(readable)) {
      ctx.addIssue({ code: "custom", path, message, input: value });
    }
    return z.NEVER;
  }
  const { name, version: _version, createdAt: _createdAt, ...codespec } = parsed.data;
  // The kind was checked above, and decided which schema it was parsed by.
  return { codespec: codespec as JobCodespec | WorkerCodespec, ...(name !== undefined && { name }) };
});

/**
 * The codespec of the body of `PUT /codespecs/{name}`, checked by all rules that need nothing but itself.
 * @throws CodedError InvalidInput
 */
export function readCodespec(body: unknown): CodespecInput {
  const parsed = codespecSchema.safeParse(body);
  if (!parsed.success) throw inputErrorOf(parsed.error);
  checkCodespec(parsed.data.codespec);
  return parsed.data;
}

const hasKind = (value: unknown, kind: string): boolean =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === kind;

function kindProblemOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "a codespec must be an object";
  if (!Object.hasOwn(value, "kind")) return "Missing discriminator property 'kind'";
  if (hasKind(value, "job") || hasKind(value, "worker")) return undefined;
  return "Invalid value for the property 'kind'. It can be either 'job' or 'worker'";
}

const readable = (issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string } => ({
  path: issue.path,
  message:
    issue.code === "unrecognized_keys"
      ? `the property '${issue.keys[0]?.slice(0, 200) ?? ""}' is not known`
      : issue.message,
});
