import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { readArgv } from "../../../cli/line/argv.ts";
import { TREE } from "../../../cli/tree.ts";
import { tyger } from "../command-line.ts";

/** Values that requests do not show; the lines themselves are in argument-lines.ts. */
describe("values on a command line", () => {
  const cases: [line: string, path: string, args: object, globals?: object][] = [
    ["run show 7", "run show", { id: "7" }, { "log-level": "info" }],
    ["run --log-level TRACE show 7", "run show", { id: "7" }, { "log-level": "trace" }],
    ["--baggage a=1 run --baggage b=2 show 7", "run show", { id: "7" }, { baggage: { a: "1", b: "2" } }],
    ["login http://h:1 --proxy none", "login", { "server-url": "http://h:1", local: false }, { proxy: "none" }],
    ["login --local --proxy automatic", "login", { local: true }, { proxy: "auto" }],
    ["login http://h --proxy p:1", "login", {}, { proxy: "p:1" }],
    ["login http://h --proxy https://p/", "login", {}, { proxy: "https://p/" }],
    ["login status", "login status", { format: "text" }],
    ["run exec -f a.yml --logs --timestamps", "run exec", { file: "a.yml", logs: true, timestamps: true }],
    ["run exec --block-size 1K --write-dop 2", "run exec", { "block-size": 1024, "write-dop": 2, "read-dop": 32 }],
    ["run exec --pull", "run exec", { "block-size": 4_194_304, "write-dop": 16, pull: true }],
    ["buffer write b -b 1.5KiB -f 500ms -p4", "buffer write", { "block-size": 1536, "flush-interval": 500, dop: 4 }],
    ["buffer write b -f 0", "buffer write", { "flush-interval": 0, dop: 16 }],
    ["buffer read b", "buffer read", { dop: 32 }],
    ["run logs 7", "run logs", { follow: false, tail: -1 }],
  ];
  test.each(cases)("%s", async (line, path, args, globals = {}) => {
    const invocation = await readArgv(line.split(" "), TREE);
    expect(invocation).toMatchObject({ wants: "run", path: path.split(" "), args, globals, rest: [] });
  });
});

describe("help goes to stdout with exit code 0", () => {
  const groups = Object.entries(TREE.commands ?? {});
  const lines = [
    "",
    "help",
    "--help",
    "-h",
    ...groups.map(([name]) => `${name} --help`),
    ...groups.flatMap(([group, { commands = {} }]) => Object.keys(commands).map((name) => `${group} ${name} -h`)),
    "help run exec",
    "run show --help",
  ];
  test.each(lines)("tyger %s", async (line) => {
    const { code, stdout, stderr } = await tyger(line);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/USAGE/);
    expect(stdout).not.toContain("\u001B");
  });

  test("every command has examples, and each is a valid command line", async () => {
    const commands = Object.values(TREE.commands ?? {}).flatMap((branch) => [
      branch,
      ...Object.values(branch.commands ?? {}),
    ]);
    let lines = 0;
    for (const { load, isHidden } of commands) {
      const command = (await load?.())?.default;
      if (!command || isHidden) continue;
      expect(command).toHaveProperty("examples.0");
      for (const example of command.examples) {
        const words = /(?:^|[\s(])tyger ([^|<>)]*)/.exec(example)?.[1]?.match(/'[^']*'|\S+/g) ?? [];
        expect((await readArgv(words, TREE)).wants).toBe("run");
        lines += 1;
      }
    }
    expect(lines).toBeGreaterThan(30);
  });

  test.each([
    [
      100,
      "           --log-format=<pretty|plain|json>    Log format; pretty on a terminal, otherwise plain",
      "  counts, count    Count runs by status",
    ],
    [
      80,
      "           --log-format=<pretty|plain|json>    Log format; pretty on a terminal,\n" +
        "                                               otherwise plain",
      "  counts, count    Count runs by status",
    ],
    [
      40,
      "  --log-format=<pretty|plain|json>\n      Log format; pretty on a terminal,\n      otherwise plain",
      "  counts, count\n      Count runs by status",
    ],
    [
      20,
      "  --log-format=\n    <pretty|plain|\n    json>\n      Log format;\n      pretty on a\n      terminal,\n      otherwise\n      plain",
      "  counts, count\n      Count runs by\n      status",
    ],
  ])("fits into %i columns", async (columns, flag, command) => {
    const { stdout } = await tyger("run --help", { terminal: true, noColor: true, columns });
    expect(stdout).toContain(`\n${flag}\n`);
    expect(stdout).toContain(`\n${command}\n`);
    const exact = await tyger("run --help", { terminal: true, columns });
    expect(stripVTControlCharacters(exact.stdout)).toBe(stdout);
  });

  test.each([30, 40, 60, 80, 100])(
    "no line of any help is wider than %i columns, and no word of it is lost",
    async (columns) => {
      const groups = Object.entries(TREE.commands ?? {}).filter(([, { isHidden }]) => !isHidden);
      const lines = groups.flatMap(([group, { commands = {} }]) => [
        group,
        ...Object.keys(commands).map((name) => `${group} ${name}`),
      ]);
      const wordsOf = (text: string): string => text.replace(/\s/g, "");
      for (const line of lines) {
        const { stdout } = await tyger(`help ${line}`, { terminal: true, noColor: true, columns });
        const [help = ""] = stdout.split("\nEXAMPLES\n");
        expect(help.split("\n").filter(({ length }) => length > columns)).toEqual([]);
        expect(wordsOf(stdout)).toBe(wordsOf((await tyger(`help ${line}`)).stdout));
      }
    },
  );

  test("the words after -- have a row of their own", async () => {
    const { stdout } = await tyger("codespec create --help");
    expect(stdout).toContain("USAGE tyger codespec create [OPTIONS] [NAME] [-- ARGS…]\n");
    expect(stdout).toMatch(/\n {2}-- ARGS… {4}\S/);
  });

  test("every command's help names its flags, except hidden ones", async () => {
    const { stdout } = await tyger("buffer read --help");
    expect(stdout).toMatch(/-o, --output/);
    expect(stdout).not.toContain("--access-ttl");
  });
});
