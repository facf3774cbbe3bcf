import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ERROR_CODES } from "../model/errors.ts";

const ROOT = resolve(import.meta.dirname, "..");
const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: ROOT, encoding: "utf8" })
  .split("\n")
  .filter((name) => name !== "");
const folders = new Set(tracked.flatMap((name) => parentsOf(name)));
const names = new Set(tracked.flatMap((name) => [name, `/${basename(name)}`]));
const topLevel = new Set(tracked.map((name) => name.split("/")[0] ?? ""));
/** Files that a build, a user or an engine makes; they are not in the repository. */
const MADE_ELSEWHERE =
  /^(?:dist|node_modules|\.ci)(?:\/|$)|^(?:run|codespec|spec|hello-run|processes|ports|package-lock)\.(?:yml|json)$/;
const ENDINGS = ["", ".ts", ".test.ts", ".process.test.ts", ".engine.test.ts"];

function parentsOf(name: string): string[] {
  const folder = dirname(name);
  return folder === "." ? [] : [folder, ...parentsOf(folder)];
}

/** A bare name is that of any file. */
const exists = (path: string): boolean =>
  folders.has(path) || ENDINGS.some((ending) => names.has(path + ending) || names.has(`/${path}${ending}`));

/** The words of a text that look like a path of this repository: `docker/watcher.ts`, `test/db/`, `README.md`. */
const pathsIn = (text: string): string[] =>
  [...text.matchAll(/(?<![\w./:@~$<-])[\w-][\w.-]*(?:\/[\w.-]+)*\/?(?![\w<*{])/g)]
    .map(([word]) => word.replace(/[./]+$/, ""))
    .filter((word) => (topLevel.has(word.split("/")[0] ?? "") ? word.includes("/") : /\.(?:md|ts)$/.test(word)))
    .filter((word) => !MADE_ELSEWHERE.test(word));

/** The comments of a source file. */
const commentsIn = (source: string): string =>
  [...source.matchAll(/\/\*\*?([^]*?)\*\/|(?<=^|\s)\/\/(.*)$/gm)]
    .map(([, block, line]) => block ?? line ?? "")
    .join("\n");

/** The paths in backticks on a page, outside of its blocks of commands, and the targets of its links. */
function namedIn(page: string, text: string): string[] {
  const prose = text.replace(/^```[^]*?^```$/gm, "");
  const words = [...prose.matchAll(/`([^`\n]+)`/g)].flatMap(([, code = ""]) => pathsIn(code));
  const links = [...prose.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target = ""]) =>
    join(dirname(page), target),
  );
  return [...words, ...links];
}

const missing = (file: string, paths: string[]): string[] =>
  paths.filter((path) => !exists(path)).map((path) => `${file}: ${path}`);

test("docs/errors.md lists every code, and no other", () => {
  const page = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
  const listed = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  expect(new Set(listed)).toEqual(new Set(ERROR_CODES));
  expect(listed).toHaveLength(ERROR_CODES.length);
});

describe("every file that is named is in the repository", () => {
  test("on the pages", () => {
    const pages = tracked.filter((name) => name.endsWith(".md"));
    expect(pages.flatMap((page) => missing(page, namedIn(page, readFileSync(join(ROOT, page), "utf8"))))).toEqual([]);
  });

  test("in the comments", () => {
    const sources = tracked.filter((name) => name.endsWith(".ts") && name !== "test/docs.test.ts");
    const found = sources.flatMap((file) => missing(file, pathsIn(commentsIn(readFileSync(join(ROOT, file), "utf8")))));
    expect(found).toEqual([]);
  });

  test.each([
    ["a moved file", "see `docker/writer.ts`", ["p.md: docker/writer.ts"]],
    ["a page that was never here", "see `rest-api.md`, section 2", ["p.md: rest-api.md"]],
    ["a link to nowhere", "see [this](docs/nowhere.md)", ["p.md: docs/nowhere.md"]],
    ["a file, a folder and a test", "`docker/watcher.ts`, `docker/`, `test/db/claims`", []],
    ["words that are not paths of ours", "`unix://path`, `/etc/hosts`, `a/b`, `run.yml`, `example.com`", []],
  ])("%s", (_name, text, found) => {
    expect(missing("p.md", namedIn("p.md", text))).toEqual(found);
  });

  test("a comment is distinguished from code", () => {
    expect(pathsIn(commentsIn('const a = "docs/none.md"; // see docs/gone.md\n/** @see docs/lost.md */'))).toEqual([
      "docs/gone.md",
      "docs/lost.md",
    ]);
  });
});

test("no walk of docs/walks.md is longer than a reader can follow", () => {
  const [, ...walks] = readFileSync(resolve(ROOT, "docs/walks.md"), "utf8").split(/^## /m);
  const lengths = walks.map((walk) => new Set([...walk.matchAll(/^\| `([^`]+)` \|/gm)].map(([, file]) => file)).size);
  expect(lengths.map((files, index) => [files > 0, files <= ([30, 16, 12, 9][index] ?? 0)])).toEqual([
    [true, true],
    [true, true],
    [true, true],
    [true, true],
  ]);
});
