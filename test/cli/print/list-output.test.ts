import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { ageOf, table } from "../../../cli/print/table.ts";
import { FakeServer, reply } from "../../fakes/tyger-server.ts";
import { tyger } from "../command-line.ts";

let server: FakeServer;
beforeEach(async () => {
  server = await new FakeServer().start();
});
afterEach(() => server.stop());

const RUNS = [
  {
    id: 8,
    status: "Failed",
    statusReason: "Main exited with code 3",
    createdAt: "2024-01-25T18:20:49.5+00:00",
    startedAt: "2024-01-25T18:20:50+00:00",
    finishedAt: "2024-01-25T18:22:55+00:00",
    job: { codespec: { image: "ubuntu" } },
    tags: { a: "1", b: "2" },
  },
  { id: 7, status: "Pending", createdAt: "2024-01-25T18:20:49+00:00", job: { codespec: { image: "busybox" } } },
];
const list = (runs: object[]): void =>
  server.on("GET", /^\/runs\?/, (_, response) => reply(response, 200, { items: runs }));

test("a table has a line of titles and a row for each run", async () => {
  list(RUNS);
  const { stdout } = await tyger("run list -o table", { server });
  const lines = stdout.replaceAll(/\d+d(\d+h)?/g, "AGE").split("\n");
  expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
    ["ID", "STATUS", "IMAGE", "AGE", "DURATION"],
    ["8", "Failed", "ubuntu", "AGE", "2m5s"],
    ["7", "Pending", "busybox", "AGE", "-"],
    [""],
  ]);
});

test("a wide table has every column", async () => {
  list(RUNS);
  const { stdout } = await tyger("run list --output WIDE", { server });
  expect(stdout).toMatch(/REASON +TAGS +CREATED\n/);
  expect(stdout).toMatch(/Main exited with code 3 +a=1,b=2 +2024-01-25T18:20:49\.5Z\n/);
});

test.each([
  ["name", "8\n7\n"],
  ["json", undefined],
])("-o %s prints what programs read", async (format, expected) => {
  list(RUNS);
  const { stdout } = await tyger(`run list -o ${format}`, { server });
  expect(stdout).toBe(expected ?? (await tyger("run list", { server })).stdout);
});

test("YAML and JSON have the same content", async () => {
  list(RUNS);
  const [yaml, json] = [await tyger("run list -o yaml", { server }), await tyger("run list", { server })];
  expect(parse(yaml.stdout)).toEqual(JSON.parse(json.stdout));
});

test("codespecs have columns of their own", async () => {
  server.codespecs.set("hello", {
    name: "hello",
    version: 2,
    kind: "job",
    image: "ubuntu",
    command: ["sh", "-c", "x"],
  });
  expect((await tyger("codespec list -o name", { server })).stdout).toBe("hello\n");
  expect((await tyger("codespec list -o wide", { server })).stdout).toMatch(
    /^NAME +VERSION +KIND +IMAGE.*\nhello +2 +job +ubuntu.*sh -c x\n$/,
  );
});

describe("an empty list", () => {
  test.each([
    ["json", "[]\n"],
    ["yaml", "[]\n"],
    ["name", ""],
    ["table", "ID   STATUS   IMAGE   AGE   DURATION\n"],
  ])("as %s", async (format, stdout) => {
    list([]);
    expect(await tyger(`run list -o ${format}`, { server })).toEqual({ code: 0, stdout, stderr: "" });
  });
});

test("later pages follow below the same titles, in the same widths", () => {
  const print = table<string>([
    { title: "WORD", textOf: (word) => word },
    { title: "X", textOf: () => "" },
  ]);
  expect(print(["abcdef"])).toBe("WORD     X\nabcdef   -\n");
  expect(print(["a"])).toBe("a        -\n");
});

describe("on a terminal", () => {
  const IMAGE = "registry.example/team/reconstruction:1.2";
  const onTerminal = (format: string, columns: number): Promise<{ stdout: string }> => {
    list([{ ...RUNS[0], job: { codespec: { image: IMAGE } }, createdAt: new Date(Date.now() - 5000).toISOString() }]);
    return tyger(`run list -o ${format}`, { server, terminal: true, columns });
  };

  test.each([
    [80, `8    Failed   ${IMAGE}   5s    2m5s`],
    [50, "8    Failed   registry.example/t…   5s    2m5s"],
    [39, "8    Failed   registr…   5s    2m5s"],
    [36, "8   Failed  registry…  5s   2m5s"],
    [32, "8  Failed registry… 5s  2m5s"],
    [20, "8  Failed registr… 5s  2m5s"],
  ])("%i columns wide, the image gives way", async (columns, row) => {
    const { stdout } = await onTerminal("table", columns);
    const [titles = "", shown] = stdout.split("\n");
    expect(shown).toBe(row);
    expect(titles.length).toBeLessThanOrEqual(Math.max(columns, 31));
  });

  test("a wide table is not shortened, and neither is one without a terminal", async () => {
    expect((await onTerminal("wide", 40)).stdout).toContain(IMAGE);
    expect((await tyger("run list -o table", { server })).stdout).toContain(IMAGE);
  });

  test("later pages keep the widths of the first", () => {
    const print = table<string>([{ title: "IMAGE", isElastic: true, textOf: (text) => text }], 10);
    expect(print(["abcdefghijk"])).toBe("IMAGE\nabcdefghi…\n");
    expect(print(["😀".repeat(11)])).toBe(`${"😀".repeat(9)}…\n`);
  });
});

test("control characters in a text neither move the cursor nor break a row", () => {
  const print = table<string>([{ title: "T", textOf: (text) => text }]);
  expect(print(["a\nb\u001B[2Jc", "x".repeat(100)])).toBe(`T\na b [2Jc\n${"x".repeat(59)}…\n`);
});

test.each([
  [0, "0s"],
  [59.9, "59s"],
  [60, "1m"],
  [3599, "59m59s"],
  [3600, "1h"],
  [90_061, "1d1h"],
  [86_460, "1d"],
  [-5, "0s"],
])("%d seconds are %s", (seconds, text) => {
  expect(ageOf("2024-01-25T18:20:49Z", Date.parse("2024-01-25T18:20:49Z") + seconds * 1000)).toBe(text);
});
