import { z } from "zod";
import { CODESPEC_REFERENCE } from "../../model/codespec/codespec.ts";
import { CodedError } from "../../model/errors.ts";
import { storedInstant } from "../../model/time/instant.ts";
import { formatTimeSpan, parseTimeSpan } from "../../model/time/time-span.ts";
import { type Field, fieldsOf, kindsOf, type Scalar, type Table, type Type } from "../fields/field.ts";
import type { InputOf } from "../fields/message-types.ts";
import { inputInt, inputMap, inputObject, parsedText, quantitySchema } from "./input-schema.ts";

/**
 * The schema of a request's body, as lenient as clients need it. What comes out is in canonical form, with defaults, and
 * without the fields that the server ignores.
 */
export const requestSchema = <T extends Table>(table: T): z.ZodType<InputOf<T>> =>
  // The tables say what comes out; the types are inferred from the same tables.
  objectSchema(table) as z.ZodType<InputOf<T>>;

function objectSchema(table: Table, variant?: string): z.ZodType {
  const discriminator = kindsOf(table);
  if (discriminator && variant === undefined) return anyVariant(table, discriminator);
  const fields = fieldsOf(table, variant);
  const ignored = fields.filter(([, { request }]) => request === "ignored").map(([name]) => name);
  const shape = Object.fromEntries(fields.map(([name, field]) => [name, fieldSchema(name, field)]));
  const rules = { unknown: table.ignoresUnknown ? "ignore" : "reject", exact: [discriminator?.name ?? ""] } as const;
  return inputObject(shape, rules).transform((value) => without(value, ignored));
}

/** The `kind` of an object decides which fields it can have. */
function anyVariant(table: Table, { name, kinds }: { name: string; kinds: readonly string[] }): z.ZodType {
  const schemas = new Map(kinds.map((kind) => [kind, objectSchema(table, kind)]));
  return z.unknown().transform((value, ctx) => {
    const refuse = (message: string, path: PropertyKey[] = []): never => {
      ctx.addIssue({ code: "custom", path, message, input: value });
      return z.NEVER;
    };
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return refuse(`a ${table.name.toLowerCase()} must be an object`);
    }
    if (!Object.hasOwn(value, name)) return refuse(`Missing discriminator property '${name}'`);
    const schema = schemas.get((value as Record<string, string>)[name] ?? "");
    if (!schema) {
      const choices = kinds.map((kind) => `'${kind}'`).join(" or ");
      return refuse(`Invalid value for the property '${name}'. It can be either ${choices}`);
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    return refuse(reasonOf(issue), issue?.path);
  });
}

function fieldSchema(name: string, field: Field): z.ZodType {
  if (field.request === "ignored") return z.unknown().optional();
  const schema = typeSchema(field.type, field, name);
  if (field.default !== undefined) return schema.default(field.default);
  return field.request === "required" ? schema : schema.optional();
}

function typeSchema(type: Type, field: Field, name: string): z.ZodType {
  if (typeof type === "string") return scalarSchema(type, field, name);
  if ("oneOf" in type) return z.enum(type.oneOf);
  if ("kinds" in type) return z.enum(type.kinds);
  if ("listOf" in type) return z.array(typeSchema(type.listOf, field, name));
  if ("mapOf" in type) return inputMap(scalarSchema(type.mapOf, field, name));
  if ("reference" in type) return choiceSchema(type.reference);
  return objectSchema(type.object, type.as);
}

function scalarSchema(type: Scalar, { notEmpty, min, max }: Field, name: string): z.ZodType {
  switch (type) {
    case "text":
    case "uri":
      return notEmpty ? z.string().trim().min(1, `the ${name} must not be empty`) : z.string();
    case "boolean":
      return z.boolean();
    case "int32":
      return inputInt(min ?? -(2 ** 31), max ?? 2 ** 31 - 1);
    case "int64":
      return inputInt(min ?? Number.MIN_SAFE_INTEGER, max ?? Number.MAX_SAFE_INTEGER);
    case "instant":
      return parsedText(storedInstant);
    case "timeSpan":
      return timeSpanSchema(min ?? 0, max ?? Infinity);
    case "quantity":
      return quantitySchema;
  }
}

const timeSpanSchema = (minSeconds: number, maxSeconds: number): z.ZodType =>
  parsedText((text) => {
    const seconds = parseTimeSpan(text);
    if (seconds < minSeconds || seconds > maxSeconds) {
      const [min, max] = [formatTimeSpan(minSeconds), formatTimeSpan(maxSeconds)];
      throw new CodedError("InvalidInput", `The time span '${text}' is not between ${min} and ${max}`);
    }
    return formatTimeSpan(seconds);
  });

/** A reference as its parts, or the object without what is about a stored one. */
function choiceSchema(table: Table): z.ZodType {
  const schema = objectSchema(table);
  const own = Object.keys(table.fields).filter((name) => table.fields[name]?.answer === "own");
  return z.unknown().transform((value, ctx) => {
    if (typeof value !== "string") {
      const parsed = schema.safeParse(value);
      if (parsed.success) return { inline: without(parsed.data as object, own) };
      for (const { path, message } of parsed.error.issues) {
        ctx.addIssue({ code: "custom", path, message, input: value });
      }
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
}

const without = (value: object, names: readonly string[]): object =>
  Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));

/**
 * The one error of a body that does not fit: the first problem and where it is. Clients rely on the first words of the message
 * and on the JSON path in it.
 */
export function inputErrorOf(error: z.ZodError): CodedError {
  const [issue] = error.issues;
  const path = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  return new CodedError("InvalidInput", `Error deserializing input at $${path}: ${reasonOf(issue)}`, { cause: error });
}

function reasonOf(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code !== "unrecognized_keys") return issue?.message ?? "it is not valid";
  return `the property '${issue.keys[0]?.slice(0, 200) ?? ""}' is not known`;
}
