import { describe, expect, test } from "vitest";
import { readArgv } from "../../cli/argv.ts";
import { TREE } from "../../cli/tree.ts";
import { tyger } from "./command-line.ts";

/** Words with blanks or quotes are given as lists. */
const wordsOf = (line: string | string[]): string[] => (typeof line === "string" ? line.split(" ") : line);

describe("what a command line means", () => {
  const cases: [line: string | string[], path: string, args: object, more?: { rest?: string[]; globals?: object }][] = [
    ["run show 7", "run show", { id: "7" }],
    ["runs show 7", "run show", { id: "7" }],
    ["run get 7", "run show", { id: "7" }],
    ["buffers get b", "buffer show", { id: "b" }],
    ["codespecs get c", "codespec show", { name: "c" }],
    ["run count", "run counts", {}],
    ["run stop 7", "run cancel", { id: "7" }],
    ["run show -- -7", "run show", { id: "-7" }],
    ["run show -", "run show", { id: "-" }],
    ["buffer show --soft-deleted b", "buffer show", { id: "b", "soft-deleted": true }],
    ["buffer show b --soft-deleted", "buffer show", { id: "b", "soft-deleted": true }],
    ["buffer show b --soft-deleted=false", "buffer show", { id: "b", "soft-deleted": false }],
    ["codespec show c --version 3", "codespec show", { name: "c", version: "3" }],
    ["codespec show --version=3 c", "codespec show", { name: "c", version: "3" }],
    ["run list --limit 5", "run list", { limit: 5 }],
    ["run list --limit=5", "run list", { limit: 5 }],
    ["run list -l 5", "run list", { limit: 5 }],
    ["run list -l=5", "run list", { limit: 5 }],
    ["run list -l5", "run list", { limit: 5 }],
    ["run list --limit -1", "run list", { limit: -1 }],
    ["run list -l -1", "run list", { limit: -1 }],
    ["run list -l5 -l 6", "run list", { limit: 6 }],
    ["run list all of them", "run list", {}],
    ["run counts surplus", "run counts", {}],
    ["buffer create surplus --tag a=b", "buffer create", { tag: { a: "b" } }],
    ["run list --tag a=1 --tag b=2,c=3", "run list", { tag: { a: "1", b: "2", c: "3" } }],
    ["run list --tag b=2,c=3", "run list", { tag: { b: "2", c: "3" } }],
    ["run list --tag a=1 --tag a=2", "run list", { tag: { a: "2" } }],
    ["run list --tag a=1,2", "run list", { tag: { a: "1,2" } }],
    ["run list --tag a=b=c", "run list", { tag: { a: "b=c" } }],
    ["run list --tag a=b=c,d=e", "run list", { tag: { a: "b=c", d: "e" } }],
    ["run list --tag a=", "run list", { tag: { a: "" } }],
    [["run", "list", "--tag", 'a=1,"b=2,3"'], "run list", { tag: { a: "1", b: "2,3" } }],
    ["run list --status succeeded --status running,failed", "run list", { status: ["succeeded", "running", "failed"] }],
    ["codespec create c -i a,b -i c", "codespec create", { input: ["a", "b", "c"] }],
    ["codespec create c --input -foo", "codespec create", { input: ["-foo"] }],
    ["codespec create c --input --output", "codespec create", { input: ["--output"] }],
    ["codespec create c --endpoint a=1", "codespec create", { endpoint: { a: "1" } }],
    ["codespec create c --endpoint a=1,b=2", "codespec create", { endpoint: { a: "1", b: "2" } }],
    ["codespec create c -kWORKER", "codespec create", { kind: "worker" }],
    ["codespec create c", "codespec create", { kind: "job", command: false }],
    ["codespec create c --gpu 1.5Gi", "codespec create", { gpu: "1.5Gi" }],
    [
      "codespec create c --command -- sh -c --limit",
      "codespec create",
      { name: "c", command: true },
      { rest: ["sh", "-c", "--limit"] },
    ],
    ["codespec create -f x.yml -- a", "codespec create", { file: "x.yml" }, { rest: ["a"] }],
    ["codespec create c -- -- a", "codespec create", { name: "c" }, { rest: ["--", "a"] }],
    ["run create -c foo --timeout 1h30m", "run create", { codespec: "foo", timeout: 5400 }],
    ["run create -c foo --timeout 1.5h", "run create", { timeout: 5400 }],
    ["run create -c foo -b in=x -b out=y", "run create", { buffer: { in: "x", out: "y" } }],
    ["run create -c foo --buffer-ttl 0.00:05", "run create", { "buffer-ttl": "0.00:05" }],
    ["run create -c foo --replicas 2", "run create", { replicas: 2 }],
    ["run exec -f a.yml --logs --timestamps", "run exec", { file: "a.yml", logs: true, timestamps: true }],
    ["run exec --block-size 1K --write-dop 2", "run exec", { "block-size": 1024, "write-dop": 2, "read-dop": 32 }],
    ["run logs 7 -f -s now", "run logs", { follow: true, since: "now", tail: -1 }],
    ["run logs 7 -fs now --tail 0", "run logs", { follow: true, since: "now", tail: 0 }],
    ["buffer access b -w", "buffer access", { write: true }],
    ["buffer write b -b 1.5KiB -f 500ms -p4", "buffer write", { "block-size": 1536, "flush-interval": 500, dop: 4 }],
    ["buffer write b -f 0", "buffer write", { "flush-interval": 0 }],
    ["buffer create --ttl 1.02:03:04", "buffer create", { ttl: 93784 }],
    [["buffer", "create", "--ttl", " 1.02 "], "buffer create", { ttl: 93600 }],
    ["login http://h:1", "login", { "server-url": "http://h:1" }],
    ["login status", "login status", { format: "text" }],
    ["login status --format JSON", "login status", { format: "json" }],
    ["login --local", "login", { local: true }],
    ["--log-level trace run show 7", "run show", { id: "7" }, { globals: { "log-level": "trace" } }],
    ["run --log-level TRACE show 7", "run show", { id: "7" }, { globals: { "log-level": "trace" } }],
    ["run show 7 --log-level trace", "run show", { id: "7" }, { globals: { "log-level": "trace" } }],
    ["run show 7", "run show", {}, { globals: { "log-level": "info" } }],
    ["--baggage a=1 run --baggage b=2 show 7", "run show", {}, { globals: { baggage: { a: "1", b: "2" } } }],
    ["login --proxy none http://h", "login", {}, { globals: { proxy: "none" } }],
  ];
  test.each(cases)("%s", async (line, path, args, { rest = [], globals = {} } = {}) => {
    const invocation = await readArgv(wordsOf(line), TREE);
    expect(invocation.wants).toBe("run");
    expect(invocation.path.join(" ")).toBe(path);
    expect(invocation.args).toMatchObject(args);
    expect(invocation.globals).toMatchObject(globals);
    expect(invocation.rest).toEqual(rest);
  });
});

describe("what is refused, in one line and with exit code 1", () => {
  const cases: [line: string | string[], stderr: string | RegExp][] = [
    ["bogus", `Error: unknown command "bogus" for "tyger"\nRun 'tyger --help' for usage.\n`],
    ["version", /unknown command "version" for "tyger"/],
    ["run bogus", /^Error: unknown command "bogus" for "tyger run"\n/],
    ["help bogus", /^Error: unknown command "bogus" for "tyger"\n/],
    ["run", "Error: a command is required\n"],
    ["codespec", "Error: a command is required\n"],
    ["run --log-level trace", "Error: a command is required\n"],
    ["run exec --timout 5", "Error: unknown flag: --timout\n"],
    ["--limit 5 run list", "Error: unknown flag: --limit\n"],
    ["run list -x", /^Error: unknown flag: -x/],
    ["run list -lx", /invalid value "x" for the flag --limit/],
    ["run logs 7 -fx", /unknown flag: -x in -fx/],
    ["run list --limit", "Error: the flag --limit needs a value\n"],
    ["run list -l", "Error: the flag -l needs a value\n"],
    ["run list --limit abc", /^Error: invalid value "abc" for the flag --limit: it is not a whole number\n$/],
    ["run list --limit 1.5", /not a whole number/],
    ["run list --limit=", /not a whole number/],
    ["run list --__proto__ x", /unknown flag: --__proto__/],
    ["run list --constructor", /unknown flag: --constructor/],
    ["constructor", /unknown command "constructor"/],
    ["run list --tag a", /^Error: invalid value "a" for the flag --tag: 'a' is not of the form key=value\n$/],
    ["run list --tag a=1,b,c=2", /'b' is not of the form key=value/],
    [["run", "list", "--tag", 'a=1,"b=2'], /quotes/],
    ["codespec create c --endpoint a", /key=value/],
    ["run show", "Error: the argument ID is missing\n"],
    ["run show 7 8", /^Error: unexpected argument "8" for "tyger run show"\n$/],
    ["run show 7 -- 8", /unexpected argument "8"/],
    ["run create surplus", /unexpected argument "surplus"/],
    ["run exec surplus -c x", /unexpected argument "surplus"/],
    ["codespec list surplus", /unexpected argument "surplus"/],
    ["codespec create a b", /unexpected argument "b"/],
    ["login status surplus", /unexpected argument "surplus"/],
    ["logout surplus", /unexpected argument "surplus"/],
    ["login a b", /unexpected argument "b"/],
    ["login", /a server URL, --file or --local is required/],
    ["login nonsense", /'nonsense' is not an absolute URL/],
    ["login --local http://h", /--local/],
    ["login ssh://host", /ssh:\/\/' are not supported/],
    ["run show 7 --log-level loud", /--log-level: it must be one of trace, debug, info, warn, error/],
    ["run show 7 --log-format xml", /--log-format/],
    ["run show --version 7", /unknown flag: --version/],
    ["run exec -v", /unknown flag: -v/],
    ["buffer show b --soft-deleted=maybe", /must be true or false/],
    ["buffer create --ttl 1.2", /--ttl: it is not of the form D, D.HH, D.HH:MM or D.HH:MM:SS/],
    ["buffer create --ttl 1.24", /--ttl/],
    ["buffer create --ttl 1.00:60", /--ttl/],
    ["buffer create --ttl -1", /--ttl/],
    ["buffer gen 1X", /invalid size '1X'/],
    ["buffer write b --block-size 0", /at least one byte/],
    ["buffer write b --flush-interval 5", /duration '5'/],
    ["buffer write b --dop 0", /at least 1/],
    ["buffer read b -p -1", /at least 1/],
    ["run create", /a codespec is required/],
    ["run create --version 3", /--version can be given with --codespec only/],
    ["run create -c x --timeout 10", /duration '10'/],
    ["run create -c x --buffer-ttl 5", /D\.HH:MM/],
    ["run create -c x --worker-replicas 2", /--worker-codespec/],
    ["run exec -c x --read-dop 0", /--read-dop/],
    ["codespec create Bad --image x", /the codespec name 'Bad'/],
    ["codespec create --image x", /a codespec name is required/],
    ["codespec create c --cpu-limit much", /quantity 'much'/],
    ["codespec create c --max-replicas many", /not a whole number/],
    ["codespec create c --kind gang", /job, worker/],
    ["codespec create c --endpoint a=1", /job codespec cannot have endpoints/],
    ["codespec create c -k worker -i in", /worker codespec cannot have buffers/],
    ["run list --since whenever", /failed to parse time whenever/],
    ["run show 7", "Error: run 'tyger login' to connect to a Tyger server\n"],
  ];
  test.each(cases)("%s", async (line, stderr) => {
    const result = await tyger(wordsOf(line));
    expect(stderr instanceof RegExp ? stderr.test(result.stderr) : stderr === result.stderr).toBe(true);
    expect(result.stderr).toMatch(/^Error: /);
    expect(result).toMatchObject({ code: 1, stdout: "" });
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

  test("every command has examples, and each is a line that means something", async () => {
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

  test("a value that looks like --help is a value", async () => {
    expect((await tyger("codespec create c --input --help")).stderr).toMatch(/tyger login/);
  });

  test("every command's help names its flags, but for hidden ones", async () => {
    const { stdout } = await tyger("buffer read --help");
    expect(stdout).toMatch(/-o, --output/);
    expect(stdout).not.toContain("--access-ttl");
  });
});

test.each(["--version", "-v", "--log-level debug --version"])("tyger %s shows the version", async (line) => {
  expect(await tyger(line)).toEqual({ code: 0, stdout: "tyger version 1.2.3\n", stderr: "" });
});
