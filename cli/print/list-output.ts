import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import { columnsOf, textOf } from "./list-columns.ts";
import type { Printed } from "./printed.ts";
import { ageOf, type Column, table } from "./table.ts";

/** How a list is printed: JSON for programs, a table for people, the ids alone for `xargs`. */
const LIST_FORMATS = ["json", "table", "wide", "name", "yaml"] as const;
export type ListFormat = (typeof LIST_FORMATS)[number];

export const outputArg = {
  type: "choice",
  choices: LIST_FORMATS,
  alias: "o",
  default: "json",
  description: "Output format",
} as const;

/** Renders a list page by page. */
export interface ListOutput {
  /** `before`: how many items have been printed. */
  page(items: readonly Printed[], before: number): string;
  end(count: number): string;
}

/** The table columns and the name of a resource. */
export interface ListShape {
  nameOf(item: Printed): string;
  columns: readonly Column<Printed>[];
}

/** `room`: the width of the terminal that shows the list; a wide table can be wider. */
export async function listOutputOf(format: ListFormat, shape: ListShape, room?: number): Promise<ListOutput> {
  switch (format) {
    case "json":
      return {
        page: (items, before) =>
          (before === 0 ? "[" : ",") +
          items.map((item) => `\n${JSON.stringify(item, null, 2).replace(/^/gm, "  ")}`).join(","),
        end: (count) => (count === 0 ? "[]\n" : "\n]\n"),
      };
    case "yaml": {
      const { yamlTextOf } = await import("../read/yaml-text.ts");
      return {
        page: (items) => yamlTextOf(items, { lineWidth: 0 }),
        end: (count) => (count === 0 ? "[]\n" : ""),
      };
    }
    case "name":
      return { page: (items) => items.map((item) => `${shape.nameOf(item)}\n`).join(""), end: () => "" };
    case "table":
    case "wide": {
      const columns = shape.columns.filter(({ isWide }) => !isWide || format === "wide");
      const print = table(columns, format === "table" ? room : undefined);
      return { page: (items) => print(items), end: (count) => (count === 0 ? print([]) : "") };
    }
  }
}

/** The image that the run executes: a run keeps its codespec, not the codespec's name. */
function imageOf({ job }: Printed): string {
  const { codespec } = (job ?? {}) as Printed;
  return typeof codespec === "object" ? textOf((codespec as Printed)["image"]) : textOf(codespec);
}

function durationOf({ startedAt, finishedAt }: Printed): string {
  if (typeof startedAt !== "string") return "";
  return ageOf(startedAt, typeof finishedAt === "string" ? Date.parse(finishedAt) : Date.now());
}

export const RUN_SHAPE: ListShape = {
  nameOf: ({ id }) => textOf(id),
  columns: columnsOf(RUN.fields, [
    { title: "IMAGE", at: 3, isElastic: true, textOf: imageOf },
    { title: "DURATION", at: 5, textOf: durationOf },
  ]),
};

export const CODESPEC_SHAPE: ListShape = {
  nameOf: ({ name }) => textOf(name),
  columns: columnsOf(CODESPEC.fields),
};
