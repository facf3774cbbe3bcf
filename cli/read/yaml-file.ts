import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument, type YAMLMap } from "yaml";
import { fileFailure } from "./file-failure.ts";

/**
 * The values that a YAML file can contain. `text` takes any scalar as it is written; `freeMap` has the user's own keys and text
 * values; `numberMap` has whole numbers. `oneOf` decides by the kind of the node.
 */
export type Shape =
  | "text"
  | "integer"
  | "boolean"
  | "textList"
  | "freeMap"
  | "numberMap"
  | { object: Readonly<Record<string, Shape>> }
  | { listOf: Shape }
  | { textOr: Shape };

/** Opens stdin; called only if the file is `-`, because another part of the command may read stdin. */
export type OpenStdin = () => AsyncIterable<Uint8Array>;

/**
 * Reads a YAML file strictly: unknown keys and wrong kinds are refused. `-` is stdin if one is given.
 * @throws Error with the file, the line and the key
 */
export async function readYamlFile(path: string, shape: Shape, stdin?: OpenStdin): Promise<Record<string, unknown>> {
  let content: string;
  try {
    content = stdin && path === "-" ? await text(stdin()) : await readFile(path, "utf8");
  } catch (err) {
    throw fileFailure(path, "read", err);
  }
  return parseYaml(content, path, shape);
}

/** Like {@link readYamlFile}, for text that was read already. */
function parseYaml(text: string, path: string, shape: Shape): Record<string, unknown> {
  if (text.includes("\0")) throw new Error(`the file '${path}' is not text`);
  // Keys are compared as they are written, by the reader below: 1 and 1.0 are two texts.
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false });
  const lineOf = (offset: number | undefined): number => text.slice(0, offset ?? 0).split("\n").length;
  const [syntax] = document.errors;
  if (syntax?.code === "MULTIPLE_DOCS") {
    throw new Error(
      `the file '${path}' has several YAML documents, the second in line ${lineOf(syntax.pos[0])}; give one`,
    );
  }
  if (syntax) {
    const reason = syntax.message.split("\n")[0] ?? "";
    throw new Error(`the file '${path}' is not valid YAML: line ${lineOf(syntax.pos[0])}: ${reason}`);
  }
  if (document.contents === null) throw new Error(`the file '${path}' is empty`);
  const refuse: Refuse = (node, reason) => {
    throw new Error(`the file '${path}', line ${lineOf(node?.range?.[0])}: ${reason}`);
  };
  const value = new YamlReader(document, refuse).read(document.contents, shape, "");
  if (typeof value !== "object" || value === null) return refuse(document.contents, "a map is expected");
  return value as Record<string, unknown>;
}

type Refuse = (node: Node | null, reason: string) => never;

/** A member of a map: its name as it is written, the node of its name, and its value. */
type Entry = [name: string, key: Node, value: unknown];

class YamlReader {
  readonly #document: Document;
  readonly #refuse: Refuse;
  /** The entries of maps that were merged into others, which may be many; undefined while they are being collected. */
  readonly #merged = new Map<YAMLMap, Entry[] | undefined>();

  constructor(document: Document, refuse: Refuse) {
    this.#document = document;
    this.#refuse = refuse;
  }

  #resolved(given: unknown): Node | null {
    return isAlias(given) ? (given.resolve(this.#document) ?? null) : (given as Node | null);
  }

  /** The value of `node`, undefined for null. `at` is its path in error messages: `job.codespec.env`. */
  read(given: unknown, shape: Shape, at: string): unknown {
    const node = this.#resolved(given);
    if (node === null || (isScalar(node) && node.value === null)) return undefined;
    if (shape === "text") return this.#text(node, at);
    if (shape === "integer") return this.#integer(node, at);
    if (shape === "boolean") return this.#boolean(node, at);
    if (shape === "textList") return this.#list(node, "text", at);
    if (shape === "freeMap") return this.#map(node, () => "text", at, true);
    if (shape === "numberMap") return this.#map(node, () => "integer", at, true);
    if ("textOr" in shape) return isScalar(node) ? this.#text(node, at) : this.read(node, shape.textOr, at);
    if ("listOf" in shape) return this.#list(node, shape.listOf, at);
    const fields = shape.object;
    return this.#map(node, (key) => (Object.hasOwn(fields, key) ? fields[key] : undefined), at);
  }

  /** `isFree`: the keys are the user's own, so a key without a value is kept. */
  #map(node: Node, shapeOf: (key: string) => Shape | undefined, at: string, isFree = false): Record<string, unknown> {
    if (!isMap(node)) return this.#refuse(node, `a map is expected${where(at)}`);
    const entries: [string, unknown][] = [];
    for (const [name, key, value] of this.#entriesOf(node, at)) {
      const shape = shapeOf(name) ?? this.#refuse(key, `unknown field '${name}'${where(at)}`);
      const path = at === "" ? name : `${at}.${name}`;
      const member = this.read(value, shape, path) ?? (isFree ? this.#ofNothing(key, shape, path) : undefined);
      if (member !== undefined) entries.push([name, member]);
    }
    return Object.fromEntries(entries);
  }

  /**
   * The entries of a map with those that \`<<\` merges into it: its own win, then those of the map that is named first.
   * @see https://yaml.org/type/merge.html
   */
  #entriesOf(map: YAMLMap, at: string): Entry[] {
    const own = new Map<string, Entry>();
    const sources: Node[] = [];
    for (const { key, value } of map.items) {
      const node = this.#resolved(key);
      if (isScalar(node) && node.type === "PLAIN" && node.source === "<<") {
        const source = this.#resolved(value);
        sources.push(
          ...(isSeq(source) ? source.items.map((item) => this.#resolved(item)) : [source]).map((one) => one ?? node),
        );
        continue;
      }
      const name = node === null ? "" : this.#text(node, at);
      if (own.has(name)) this.#refuse(node, `the key '${name}' is given twice${where(at)}`);
      own.set(name, [name, node ?? map, value]);
    }
    for (const source of sources) {
      if (!isMap(source)) return this.#refuse(source, `a map is expected after '<<'${where(at)}`);
      for (const entry of this.#mergedEntriesOf(source, at)) if (!own.has(entry[0])) own.set(entry[0], entry);
    }
    return [...own.values()];
  }

  #mergedEntriesOf(map: YAMLMap, at: string): Entry[] {
    const known = this.#merged.get(map);
    if (known) return known;
    if (this.#merged.has(map)) return this.#refuse(map, `a map is merged into itself${where(at)}`);
    this.#merged.set(map, undefined);
    const entries = this.#entriesOf(map, at);
    this.#merged.set(map, entries);
    return entries;
  }

  #list(node: Node, shape: Shape, at: string): unknown[] {
    if (!isSeq(node)) return this.#refuse(node, `a list is expected${where(at)}`);
    return node.items.map((item, index) => {
      const path = `${at}[${index}]`;
      return this.read(item, shape, path) ?? this.#ofNothing(node, shape, path);
    });
  }

  /** The value of a user's key or a list item that has none: an empty text where text is expected. */
  #ofNothing(node: Node, shape: Shape, at: string): string {
    return shape === "text" ? "" : this.#refuse(node, `a value is missing${where(at)}`);
  }

  #text(node: Node, at: string): string {
    if (!isScalar(node)) return this.#refuse(node, `a single value is expected${where(at)}`);
    // As it is written: 1.10 as text is not 1.1.
    return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
  }

  #boolean(node: Node, at: string): boolean {
    const text = this.#text(node, at);
    if (text !== "true" && text !== "false") {
      return this.#refuse(node, `true or false is expected${where(at)}, not '${text}'`);
    }
    return text === "true";
  }

  #integer(node: Node, at: string): number {
    const text = this.#text(node, at);
    const number = Number(text);
    if (!/^[+-]?[0-9]+$/.test(text) || !Number.isSafeInteger(number)) {
      return this.#refuse(node, `a whole number is expected${where(at)}, not '${text}'`);
    }
    return number;
  }
}

const where = (at: string): string => (at === "" ? "" : ` in '${at}'`);
