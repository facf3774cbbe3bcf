import { BUFFER } from "../../contract/fields/buffer-fields.ts";
import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import type { Fields } from "../../contract/fields/field.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import { printed, type Printed } from "./printed.ts";

export const shownBuffer = (buffer: unknown): Printed => printed(BUFFER.fields, buffer);
export const shownCodespec = (codespec: unknown): Printed => printed(CODESPEC.fields, codespec);
export const shownRun = (run: unknown): Printed => printed(RUN.fields, run);

const PROGRESS: Fields = Object.fromEntries(
  Object.entries<Fields[string]>(RUN.fields).filter(([, { isProgress }]) => isProgress),
);
/** The status fields of a run, without its request. */
export const shownRunSystem = (run: unknown): Printed => printed(PROGRESS, run);

/** An object as indented JSON with a line feed. */
export const asJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
