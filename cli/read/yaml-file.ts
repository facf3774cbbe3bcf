import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from "yaml";
import { fileFailure } from "./file-failure.ts";

/**
 * What a YAML file may hold. `text` takes any scalar as it is written; `freeMap` has keys of the user's and text as
 * values; `numberMap` whole numbers. `oneOf` decides by the kind of the node.
 */
export type Shape =
  | "text"
  | "integer"
  | "textList"
  | "freeMap"
  | "numberMap"
  | { object: Readonly<Record<string, Shape>> }
  | { listOf: Shape }
  | { textOr: Shape };

/** Opens stdin, which must not be touched where the file is another one. */
export type OpenStdin = () => AsyncIterable<Uint8Array>;

/**
 * Reads a YAML file strictly: unknown keys and wrong kinds are refused. `-` is stdin where one is given.
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

/** As {@link readYamlFile}, of a text. */
export function parseYaml(text: string, path: string, shape: Shape): Record<string, unknown> {
  if (text.includes("\0")) throw new Error(`the file '${path}' is not text`);
  const document = parseDocument(text, { prettyErrors: false });
  const lineOf = (offset: number | undefined): number => text.slice(0, offset ?? 0).split("\n").length;
  const [syntax] = document.errors;
  if (syntax) {
    const reason = syntax.message.split("\n")[0] ?? "";
    throw new Error(`the file '${path}' is not valid YAML: line ${lineOf(syntax.pos[0])}: ${reason}`);
  }
  if (document.contents === null) throw new Error(`the file '${path}' is empty`);
  const refuse = (node: Node | null, reason: string): never => {
    throw new Error(`the file '${path}', line ${lineOf(node?.range?.[0])}: ${reason}`);
  };
  const value = new YamlReader(document, refuse).read(document.contents, shape, "");
  if (typeof value !== "object" || value === null) return refuse(document.contents, "a map is expected");
  return value as Record<string, unknown>;
}

class YamlReader {
  readonly #document: Document;
  readonly #refuse: (node: Node | null, reason: string) => never;

  constructor(document: Document, refuse: (node: Node | null, reason: string) => never) {
    this.#document = document;
    this.#refuse = refuse;
  }

  /** The value of `node`, undefined for null. `at` is its path for people: `job.codespec.env`. */
  read(given: unknown, shape: Shape, at: string): unknown {
    const node = isAlias(given) ? (given.resolve(this.#document) ?? null) : (given as Node | null);
    if (node === null || (isScalar(node) && node.value === null)) return undefined;
    if (shape === "text") return this.#text(node, at);
    if (shape === "integer") return this.#integer(node, at);
    if (shape === "textList") return this.#list(node, "text", at);
    if (shape === "freeMap") return this.#map(node, () => "text", at);
    if (shape === "numberMap") return this.#map(node, () => "integer", at);
    if ("textOr" in shape) return isScalar(node) ? this.#text(node, at) : this.read(node, shape.textOr, at);
    if ("listOf" in shape) return this.#list(node, shape.listOf, at);
    const fields = shape.object;
    return this.#map(node, (key) => (Object.hasOwn(fields, key) ? fields[key] : undefined), at);
  }

  #map(node: Node, shapeOf: (key: string) => Shape | undefined, at: string): Record<string, unknown> {
    if (!isMap(node)) return this.#refuse(node, `a map is expected${where(at)}`);
    const entries: [string, unknown][] = [];
    for (const { key, value } of node.items) {
      const name = this.#text(key as Node, at);
      const shape = shapeOf(name) ?? this.#refuse(key as Node, `unknown field '${name}'${where(at)}`);
      const member = this.read(value, shape, at === "" ? name : `${at}.${name}`);
      if (member !== undefined) entries.push([name, member]);
    }
    return Object.fromEntries(entries);
  }

  #list(node: Node, shape: Shape, at: string): unknown[] {
    if (!isSeq(node)) return this.#refuse(node, `a list is expected${where(at)}`);
    return node.items.map(
      (item, index) =>
        this.read(item, shape, `${at}[${index}]`) ??
        this.#refuse(node, `a value is missing${where(`${at}[${index}]`)}`),
    );
  }

  #text(node: Node, at: string): string {
    if (!isScalar(node)) return this.#refuse(node, `a single value is expected${where(at)}`);
    // As it is written: 1.10 as text is not 1.1.
    return typeof node.value === "string" ? node.value : (node.source ?? String(node.value));
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
