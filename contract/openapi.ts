import { type Field, fieldsOf, type Scalar, type Table, type Type } from "./fields/field.ts";
import type { Answer, Parameter, ParameterType, Route } from "./routes.ts";

type Json = Readonly<Record<string, unknown>>;

/** An OpenAPI 3.0 document. */
export interface OpenApiDocument {
  openapi: string;
  info: Json;
  paths: Readonly<Record<string, Readonly<Record<string, Json>>>>;
  components: { schemas: Readonly<Record<string, Json>> };
}

const SCALARS: Readonly<Record<Scalar, Json>> = {
  text: { type: "string" },
  uri: { type: "string", format: "uri" },
  boolean: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  instant: { type: "string", format: "date-time" },
  timeSpan: { type: "string", format: "date-span" },
  quantity: { type: "string" },
};

const PARAMETERS: Readonly<Record<ParameterType, Json>> = {
  text: { schema: SCALARS.text },
  boolean: { schema: SCALARS.boolean },
  int32: { schema: SCALARS.int32 },
  instant: { schema: SCALARS.instant },
  logInstant: { schema: SCALARS.instant },
  timeSpan: { schema: SCALARS.timeSpan },
  tags: { style: "deepObject", explode: true, schema: { type: "object", additionalProperties: SCALARS.text } },
  statuses: { schema: { type: "array", items: SCALARS.text } },
};

/**
 * The OpenAPI document of routes, with the schemas that they use under the names of their tables.
 * The REST contract, section 15, has the names that it must have.
 */
export function openApiOf(routes: Readonly<Record<string, Route>>): OpenApiDocument {
  const schemas: Schemas = new Map();
  const paths = new Map<string, Record<string, Json>>();
  for (const route of Object.values(routes)) {
    if (route.isUndocumented) continue;
    const operations = paths.get(route.path) ?? {};
    paths.set(route.path, operations);
    operations[route.method.toLowerCase()] = operationOf(route, schemas);
  }
  return {
    openapi: "3.0.4",
    info: {
      title: "tyger",
      version: "v1.0",
      description:
        "Runs containers and moves their data. Add the query parameter `api-version=1.0` to each request but those for `/metadata` and `/database-version-in-use`.",
    },
    paths: Object.fromEntries(paths),
    components: {
      schemas: Object.fromEntries(
        [...schemas].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, { schema }]) => [name, schema]),
      ),
    },
  };
}

/** By name, with the table that each is made from. */
type Schemas = Map<string, { table: Table; schema: Json }>;

function operationOf({ path, doc, operationId, query = {}, body, answers }: Route, schemas: Schemas): Json {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: SCALARS.text,
  }));
  const inQuery = Object.entries<Parameter>(query).map(([name, { type, doc }]) => ({
    name,
    in: "query",
    description: doc,
    ...PARAMETERS[type],
  }));
  const parameters = [...inPath, ...inQuery];
  const contentOf = (type: Type): Json => ({ content: { "application/json": { schema: schemaOf(type, schemas) } } });
  const responses = Object.entries<Answer>(answers).map(([status, { doc, type }]) => [
    status,
    { description: doc, ...(type && contentOf(type)) },
  ]);
  return {
    ...(operationId !== undefined && { operationId }),
    summary: doc,
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, ...contentOf({ object: body }) } }),
    responses: Object.fromEntries(responses),
  };
}

function schemaOf(type: Type, schemas: Schemas): Json {
  if (typeof type === "string") return SCALARS[type];
  if ("oneOf" in type) return { enum: type.oneOf };
  if ("kinds" in type) return { enum: type.kinds };
  if ("listOf" in type) return { type: "array", items: schemaOf(type.listOf, schemas) };
  if ("mapOf" in type) {
    const member = SCALARS[type.mapOf];
    if (!type.keys) return { type: "object", additionalProperties: member };
    const properties = Object.fromEntries(type.keys.map((key) => [key, member]));
    return { type: "object", properties, additionalProperties: false };
  }
  if ("reference" in type) return { oneOf: [SCALARS.text, define(type.reference, schemas)] };
  const { object: table, as } = type;
  const base = define(table, schemas);
  const variants = Object.values(table.variants ?? {}).map(refTo);
  if (variants.length === 0) return base;
  const own = as === undefined ? undefined : table.variants?.[as];
  if (own !== undefined) return refTo(own);
  return as === undefined ? { oneOf: variants } : { oneOf: [base, ...variants], additionalProperties: false };
}

const refTo = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });

/** Adds the schemas of a table: one of the fields that all variants have, and one that extends it for each variant. */
function define(table: Table, schemas: Schemas): Json {
  const defined = schemas.get(table.name);
  if (defined && defined.table !== table) throw new Error(`Two tables have the name '${table.name}'`);
  if (defined) return refTo(table.name);
  const fieldsWith = (variant: string | undefined) => fieldsOf(table).filter(([, { only }]) => only === variant);
  const shared = objectSchemaOf(fieldsWith(undefined), schemas);
  schemas.set(table.name, { table, schema: { ...shared, description: table.doc } });
  for (const [variant, name] of Object.entries(table.variants ?? {})) {
    const own = objectSchemaOf(fieldsWith(variant), schemas);
    schemas.set(name, { table, schema: { allOf: [refTo(table.name), own], additionalProperties: {} } });
  }
  return refTo(table.name);
}

function objectSchemaOf(fields: readonly [string, Field][], schemas: Schemas): Json {
  const required = fields.filter(([, field]) => isDocumentedAsRequired(field)).map(([name]) => name);
  return {
    type: "object",
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(fields.map(([name, field]) => [name, propertyOf(field, schemas)])),
  };
}

/** Clients are generated from the document: one that has no `kind` or number fills it in by itself. */
const isDocumentedAsRequired = ({ request, type }: Field): boolean =>
  request === "required" && type !== "int32" && !(typeof type === "object" && "kinds" in type);

function propertyOf({ type, doc, nullable, notEmpty }: Field, schemas: Schemas): Json {
  const schema = schemaOf(type, schemas);
  // OpenAPI ignores the members beside a reference.
  if ("$ref" in schema) return schema;
  // An enumeration of a value that is always there has no type in the document that clients know.
  const isNullableEnum = "enum" in schema && nullable !== false;
  return {
    ...schema,
    ...(isNullableEnum && { type: "string" }),
    ...(notEmpty && { minLength: 1 }),
    description: doc,
    ...(nullable !== false && { nullable: true }),
  };
}
