import { type Field, fieldsOf, kindsOf, type Scalar, type Table, type Type } from "./fields/field.ts";

/** Gives what is shown of a value. @throws Error for a value that does not fit: a bug of the server */
type Show = (value: unknown) => unknown;

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,7})?\+00:00$/;
const TIME_SPAN = /^(?:\d+\.)?\d{2}:\d{2}:\d{2}(?:\.\d{1,7})?$/;

const isText = (value: unknown): boolean => typeof value === "string";
const FITS: Readonly<Record<Scalar, (value: unknown) => boolean>> = {
  text: isText,
  uri: isText,
  quantity: isText,
  boolean: (value) => typeof value === "boolean",
  int32: (value) => Number.isInteger(value),
  int64: (value) => Number.isSafeInteger(value),
  instant: (value) => typeof value === "string" && INSTANT.test(value),
  timeSpan: (value) => typeof value === "string" && TIME_SPAN.test(value),
};

/**
 * The view of a value in answers: the fields that its tables have, in the order in which the value has them, without null,
 * false and non-nullable zeros. Whatever else the server keeps beside them stays there.
 */
export const answerOf = (type: Type): Show => showOf(type, "answer", false);

/** The JSON text of answers of a type. */
export function serializerOf(type: Type): (value: unknown) => string {
  const show = answerOf(type);
  return (value) => JSON.stringify(show(value));
}

function showOf(type: Type, at: string, isInline: boolean): Show {
  const checked =
    (isFitting: (value: unknown) => boolean): Show =>
    (value) => {
      if (isFitting(value)) return value;
      throw new Error(`A value does not fit the contract at '${at}'`);
    };
  if (typeof type === "string") return checked(FITS[type]);
  if ("oneOf" in type) return checked((value) => type.oneOf.includes(value as string));
  if ("kinds" in type) return checked((value) => type.kinds.includes(value as string));
  if ("mapOf" in type) {
    const isFitting = FITS[type.mapOf];
    return checked((value) => isObject(value) && Object.values(value).every(isFitting));
  }
  if ("listOf" in type) {
    const show = showOf(type.listOf, at, isInline);
    const isList = checked(Array.isArray);
    return (value) => (isList(value) as unknown[]).map(show);
  }
  if ("reference" in type) return anyVariantOf(type.reference, at, true);
  return type.as === undefined ? anyVariantOf(type.object, at, isInline) : objectOf(type.object, type.as, isInline);
}

function anyVariantOf(table: Table, at: string, isInline: boolean): Show {
  const discriminator = kindsOf(table);
  if (!discriminator) return objectOf(table, undefined, isInline);
  const { name, kinds } = discriminator;
  const shows = new Map<unknown, Show>(kinds.map((kind) => [kind, objectOf(table, kind, isInline)]));
  return (value) => {
    const show = isObject(value) ? shows.get(value[name]) : undefined;
    if (!show) throw new Error(`A value does not fit the contract at '${at}'`);
    return show(value);
  };
}

function objectOf(table: Table, variant: string | undefined, isInline: boolean): Show {
  const fields = fieldsOf(table, variant);
  const shows = new Map(
    fields.map(([name, field]) => [name, { field, show: showOf(field.type, `${table.name}.${name}`, isInline) }]),
  );
  const always = fields.filter(([, field]) => isAlways(field, isInline)).map(([name]) => name);
  return (value) => {
    if (!isObject(value)) throw new Error(`A value does not fit the contract: it is not a '${table.name}'`);
    const shown: Record<string, unknown> = {};
    for (const name of Object.keys(value)) {
      const { field, show } = shows.get(name) ?? {};
      const member = value[name];
      if (field && show && !isOmitted(member, field)) shown[name] = show(member);
    }
    for (const name of always) {
      if (!(name in shown)) throw new Error(`A value does not fit the contract: it has no '${table.name}.${name}'`);
    }
    return shown;
  };
}

const isAlways = ({ answer }: Field, isInline: boolean): boolean =>
  answer === "always" || (answer === "own" && !isInline);

const isOmitted = (value: unknown, { nullable, answer }: Field): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (value === 0 && nullable === false && answer === undefined);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
