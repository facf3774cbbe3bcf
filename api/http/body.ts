import type { FastifyInstance, FastifySchemaCompiler } from "fastify";
import { z } from "zod";
import { CodedError } from "../../model/errors.ts";
import { parseInput } from "../../contract/lenient/json-input.ts";
import { inputErrorOf } from "../../contract/lenient/request-schema.ts";

/** Far above any body of the contract; data goes through the data plane. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

const decoder = new TextDecoder("utf-8", { fatal: true });

/** JSON as clients send it, also no body at all under a JSON content type. Other types of body are refused. */
export function installBodyParser(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    { parseAs: "buffer", bodyLimit: BODY_LIMIT_BYTES },
    async (_req: unknown, body: Buffer) => parseInput(textOf(body)),
  );
}

function textOf(body: Buffer): string {
  try {
    return decoder.decode(body);
  } catch (err) {
    throw new CodedError("InvalidInput", "Error deserializing input at $: it is not UTF-8", { cause: err });
  }
}

/** Checks a part of a request against its schema; each part has its own form of error. */
export const validatorOf: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    if (httpPart === "body" && (data === undefined || data === null)) {
      return { error: new CodedError("InvalidInput", "Error deserializing input at $: a body is needed") };
    }
    try {
      const parsed = schema.safeParse(data);
      if (parsed.success) return { value: parsed.data };
      return { error: httpPart === "body" ? inputErrorOf(parsed.error) : parameterErrorOf(parsed.error) };
    } catch (err) {
      if (err instanceof CodedError) return { error: err };
      throw err;
    }
  };

function parameterErrorOf(error: z.ZodError): CodedError {
  const [issue] = error.issues;
  const name = issue?.path.join(".") ?? "";
  return new CodedError("BadRequest", `The value of '${name}' is not valid: ${issue?.message ?? ""}`, { cause: error });
}
