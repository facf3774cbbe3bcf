/**
 * The language in which contract/ describes what goes over the wire. Tables are plain values without a library, so that
 * the command line and programs can read them without loading one; schemas, print order, YAML shapes, equality and the
 * OpenAPI document are derived from them.
 */

/** A value that is not made of others. `uri` is text that the OpenAPI document calls a URI. */
export type Scalar = "text" | "uri" | "boolean" | "int32" | "int64" | "instant" | "timeSpan" | "quantity";

export type Type =
  | Scalar
  | { readonly oneOf: readonly string[] }
  /** The discriminator of a table with variants; spelled exactly, also by lenient clients. */
  | { readonly kinds: readonly string[] }
  | { readonly listOf: Type }
  /** Keys are the user's, and so is their order; where they are a closed set, `keys` has them as the document names them. */
  | { readonly mapOf: Scalar; readonly keys?: readonly string[] }
  /** `as` picks a variant; without it the `kind` of the value does. */
  | { readonly object: Table; readonly as?: string }
  /** The object itself or a text that names a stored one. */
  | { readonly reference: Table };

/** Where a field stands in `-o table` and `-o wide`. */
export interface ListColumn {
  readonly title: string;
  /** Columns are sorted by it. */
  readonly at: number;
  readonly isWide?: true;
  readonly isElastic?: true;
  /** The time that has passed since an instant instead of the instant. */
  readonly isAge?: true;
}

export interface Field {
  readonly type: Type;
  /** For people who read the OpenAPI document. */
  readonly doc: string;
  /** The variant that alone has this field; to the others it is unknown. */
  readonly only?: string;
  /** A request can give the field unless this says otherwise; `ignored` accepts anything and drops it. */
  readonly request?: "required" | "ignored";
  /** The value in a request without the field. */
  readonly default?: string | number;
  /** Bounds of whole numbers, of a map's numbers, and of time spans in seconds. */
  readonly min?: number;
  readonly max?: number;
  readonly notEmpty?: true;
  /**
   * An answer has the field where there is a value for it, unless this says otherwise. `own` is always there in answers of
   * the resource, and only sometimes where the object is inlined in another one.
   */
  readonly answer?: "always" | "own";
  /** Null, `false` and zero do not exist for the field: the OpenAPI document reflects that, and responses omit them. */
  readonly nullable?: false;
  /** How two objects are compared: lists in order, quantities by value, unless this says otherwise. */
  readonly compared?: "in any order" | "not at all";
  /** The command line does not print it. */
  readonly isHidden?: true;
  /** The changing facts of an open run: the fields of `run watch`. */
  readonly isProgress?: true;
  /** Whether YAML files can have the field; as in requests, unless this says otherwise. */
  readonly file?: "ignored" | "refused";
  readonly columns?: readonly ListColumn[];
}

/** Fields in the order in which they are printed. */
export type Fields = Readonly<Record<string, Field>>;

export interface Table {
  /** The name of its schema in the OpenAPI document. */
  readonly name: string;
  readonly doc: string;
  readonly fields: Fields;
  /** Variant -> the name of its own schema. */
  readonly variants?: Readonly<Record<string, string>>;
  /** Requests may hold other properties. */
  readonly ignoresUnknown?: true;
}

/** The fields of a table, or those that one of its variants has. */
export const fieldsOf = (table: Table, variant?: string): [name: string, field: Field][] =>
  Object.entries(table.fields).filter(
    ([, { only }]) => variant === undefined || only === undefined || only === variant,
  );

/** The discriminating field of a table and its values; undefined for a table without one. */
export function kindsOf(table: Table): { name: string; kinds: readonly string[] } | undefined {
  for (const [name, { type }] of Object.entries(table.fields)) {
    if (typeof type === "object" && "kinds" in type) return { name, kinds: type.kinds };
  }
  return undefined;
}

/** The table whose fields a value of a type has; undefined for a type that is not an object. */
export function tableOf(type: Type): Table | undefined {
  if (typeof type === "string") return undefined;
  if ("object" in type) return type.object;
  return "reference" in type ? type.reference : undefined;
}
