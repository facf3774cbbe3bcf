import { type Field, fieldsOf, type Scalar, type Table, type Type } from "../../contract/fields/field.ts";
import type { Shape } from "./yaml-file.ts";

/** The fields that a YAML file can have: those of a request, and those of a printed object, so that it can be reused. */
export function fileShapeOf(table: Table, variant?: string): { object: Readonly<Record<string, Shape>> } {
  const fields = fieldsOf(table, variant).filter(([, field]) => isInFiles(field));
  return { object: Object.fromEntries(fields.map(([name, { type }]) => [name, shapeOf(type)])) };
}

const isInFiles = ({ request, file }: Field): boolean =>
  file === undefined ? request !== "ignored" : file !== "refused";

function shapeOf(type: Type): Shape {
  if (typeof type === "string") return ofScalar(type);
  if ("listOf" in type) {
    const item = shapeOf(type.listOf);
    return item === "text" ? "textList" : { listOf: item };
  }
  if ("mapOf" in type) return ofScalar(type.mapOf) === "integer" ? "numberMap" : "freeMap";
  if ("reference" in type) return { textOr: fileShapeOf(type.reference) };
  return "object" in type ? fileShapeOf(type.object, type.as) : "text";
}

const ofScalar = (type: Scalar): Shape =>
  type === "int32" || type === "int64" ? "integer" : type === "boolean" ? "boolean" : "text";
