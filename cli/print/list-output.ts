import { ageOf, type Column, table } from "./table.ts";

/** How a list is printed: JSON for programs, a table for people, the ids alone for `xargs`. */
export const LIST_FORMATS = ["json", "table", "wide", "name", "yaml"] as const;
export type ListFormat = (typeof LIST_FORMATS)[number];

export const outputArg = {
  type: "choice",
  choices: LIST_FORMATS,
  alias: "o",
  default: "json",
  description: "Output format",
} as const;

/** The text of a list as its pages come. */
export interface ListOutput {
  /** `before`: how many items were printed already. */
  page(items: readonly Item[], before: number): string;
  end(count: number): string;
}

/** One resource as it is shown in JSON. */
export type Item = Readonly<Record<string, unknown>>;

/** What a resource looks like where it is not JSON. */
export interface ListShape {
  nameOf(item: Item): string;
  columns: readonly Column<Item>[];
}

/** `room`: the width of the terminal that the list goes to; a wide table is one that may be wider. */
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

const textOf = (value: unknown): string =>
  typeof value === "string" || typeof value === "number"
    ? String(value)
    : value === undefined
      ? ""
      : JSON.stringify(value);

const pairs = (value: unknown): string =>
  Object.entries((value ?? {}) as Item)
    .map(([key, member]) => `${key}=${textOf(member)}`)
    .join(",");

const words = (value: unknown): string => (Array.isArray(value) ? value.map(textOf).join(" ") : "");

const age = (value: unknown): string => (typeof value === "string" ? ageOf(value, Date.now()) : "");

/** What the run executes; a run keeps its codespec, and not the name under which it was stored. */
function imageOf({ job }: Item): string {
  const { codespec } = (job ?? {}) as Item;
  return typeof codespec === "object" ? textOf((codespec as Item)["image"]) : textOf(codespec);
}

function durationOf({ startedAt, finishedAt }: Item): string {
  if (typeof startedAt !== "string") return "";
  return ageOf(startedAt, typeof finishedAt === "string" ? Date.parse(finishedAt) : Date.now());
}

export const RUN_SHAPE: ListShape = {
  nameOf: ({ id }) => textOf(id),
  columns: [
    { title: "ID", textOf: ({ id }) => textOf(id) },
    { title: "STATUS", textOf: ({ status }) => textOf(status) },
    { title: "IMAGE", isElastic: true, textOf: imageOf },
    { title: "AGE", textOf: ({ createdAt }) => age(createdAt) },
    { title: "DURATION", textOf: durationOf },
    { title: "REASON", isWide: true, textOf: ({ statusReason }) => textOf(statusReason) },
    { title: "TAGS", isWide: true, textOf: ({ tags }) => pairs(tags) },
    { title: "CREATED", isWide: true, textOf: ({ createdAt }) => textOf(createdAt) },
  ],
};

export const CODESPEC_SHAPE: ListShape = {
  nameOf: ({ name }) => textOf(name),
  columns: [
    { title: "NAME", textOf: ({ name }) => textOf(name) },
    { title: "VERSION", textOf: ({ version }) => textOf(version) },
    { title: "KIND", textOf: ({ kind }) => textOf(kind) },
    { title: "IMAGE", isElastic: true, textOf: ({ image }) => textOf(image) },
    { title: "AGE", textOf: ({ createdAt }) => age(createdAt) },
    { title: "INPUTS", isWide: true, textOf: ({ buffers }) => words((buffers as Item | undefined)?.["inputs"]) },
    { title: "OUTPUTS", isWide: true, textOf: ({ buffers }) => words((buffers as Item | undefined)?.["outputs"]) },
    { title: "COMMAND", isWide: true, textOf: ({ command }) => words(command) },
  ],
};
