import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { fail, FakeServer, reply, type SeenRequest } from "../../fakes/tyger-server.ts";
import { type ArgumentLine, ARGUMENT_LINES, AT, FILES, LINES_WITHOUT_LOGIN } from "./argument-lines.ts";
import { type CommandLineOptions, tyger } from "../command-line.ts";

let server: FakeServer;
let folder: string;
beforeEach(async () => {
  vi.useFakeTimers({ now: new Date(AT), toFake: ["Date"] });
  folder = await mkdtemp(join(tmpdir(), "tyger-lines-"));
  vi.stubEnv("TZ", "UTC");
  server = await new FakeServer().start();
  furnish();
  const files = { ...FILES, "url.txt": server.accessUrl("b1") };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), placed(text));
  await server.fill("b1", Buffer.from("some bytes"));
});
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await server.stop();
  await rm(folder, { recursive: true });
});

/** The resources on the server. */
function furnish(): void {
  const image = "ubuntu";
  server.codespecs.set("cat", {
    kind: "job",
    name: "cat",
    version: 1,
    image,
    buffers: { inputs: ["in"], outputs: ["out"] },
  });
  server.codespecs.set("twin", {
    kind: "job",
    name: "twin",
    version: 1,
    image,
    buffers: { inputs: ["left", "right"] },
  });
  server.run = { id: 7, status: "Succeeded", createdAt: "2024-01-25T18:20:49.100+00:00", job: { codespec: { image } } };
  server.log = "one\ntwo\n";
  const { job: _, ...listed } = server.run;
  server.on("GET", /^\/runs\?/, (_request, response) => reply(response, 200, { items: [listed] }));
  server.on("GET", /^\/runs\?.*limit=0/, (_request, response) => reply(response, 200, { items: [] }));
  server.on("GET", /^\/runs\?.*limit=-/, (_request, response) =>
    fail(response, 400, "InvalidInput", "Limit must be a non-negative integer"),
  );
  server.on("GET", /^\/runs\/counts/, (_request, response) => reply(response, 200, { succeeded: 2, running: 1 }));
  server.on("GET", /^\/buffers\/b1\?/, (_request, response) =>
    reply(response, 200, { id: "b1", createdAt: "2024-01-25T18:20:49.000+00:00", eTag: "1", isSoftDeleted: false }),
  );
}

const placed = (text: string): string => text.replaceAll("$FOLDER", folder).replaceAll("$SOCKET", server.socketPath);

/** The words of a line, which may be in single quotes. */
const wordsOf = (line: string): string[] =>
  (line.match(/(?:'[^']*'|\S)+/g) ?? []).map((word) => word.replaceAll("'", ""));

/** A request as the table spells it. */
function spelled({ method, url, body }: SeenRequest): string {
  const [path = "", query = ""] = url.split("?");
  const parameters = query.split("&").filter((parameter) => parameter !== "api-version=1.0");
  const shown = parameters.join("&").replaceAll("%5B", "[").replaceAll("%5D", "]");
  return `${method} ${path}${shown === "" ? "" : `?${shown}`}${body === "" ? "" : ` ${body}`}`;
}

interface Seen {
  code: number;
  stdout: string | RegExp;
  stderr: string | RegExp;
  requests: string[];
}

function expectedOf([_line, code, stdout, stderr, ...requests]: ArgumentLine): Seen {
  const text = (given: string | RegExp): string | RegExp => (typeof given === "string" ? placed(given) : given);
  return { code, stdout: text(stdout), stderr: text(stderr), requests: requests.sort() };
}

/** All that is seen of a line; text that fits an expected pattern is given as that pattern. */
async function seenOf([line]: ArgumentLine, expected: Seen, options: CommandLineOptions): Promise<Seen> {
  const { code, stdout, stderr } = await tyger(wordsOf(line).map(placed), { ...options, stdin: "stdin" });
  const as = (pattern: string | RegExp, text: string): string | RegExp =>
    pattern instanceof RegExp && pattern.test(text) ? pattern : text;
  const requests = server.seen.map(spelled).sort();
  return { code, stdout: as(expected.stdout, stdout), stderr: as(expected.stderr, stderr), requests };
}

const named = (lines: readonly ArgumentLine[]): [name: string, line: ArgumentLine][] =>
  lines.map((line) => [line[0], line]);

describe.each(Object.entries(ARGUMENT_LINES))("%s", (_subject, lines) => {
  test.each(named(lines))("tyger %s", async (_name, line) => {
    const localSockets = [join(folder, "none.sock"), server.socketPath];
    const expected = expectedOf(line);
    expect(
      await seenOf(line, expected, { server, localSockets, stackEnvironment: { TYGER_DATA_DIR: folder } }),
    ).toEqual(expected);
  });
});

describe("without a login", () => {
  test.each(named(LINES_WITHOUT_LOGIN))("tyger %s", async (_name, line) => {
    const expected = expectedOf(line);
    expect(await seenOf(line, expected, { loginFile: join(folder, "login") })).toEqual(expected);
  });
});

test("no line is in the table twice", () => {
  const lines = Object.values(ARGUMENT_LINES).flatMap((group) => group.map(([line]) => line));
  expect(lines.filter((line, at) => lines.indexOf(line) !== at)).toEqual([]);
});
