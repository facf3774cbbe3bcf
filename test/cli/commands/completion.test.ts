import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { suggestionsFor } from "../../../cli/line/suggestions.ts";
import { TREE } from "../../../cli/tree.ts";
import { FakeServer, reply } from "../../fakes/tyger-server.ts";
import { tyger } from "../command-line.ts";

/** The words of a line as a shell has them: a blank at its end begins an empty one. */
const wordsOf = (line: string): string[] => line.split(" ");

describe("the words offered at the cursor", () => {
  const cases: [line: string, words: string[]][] = [
    ["ru", ["run"]],
    ["run l", ["logs", "list"]],
    ["runs li", ["list"]],
    ["login s", ["status"]],
    ["run list --st", ["--status"]],
    ["run list --status s", ["Succeeded"]],
    ["run list --status=f", ["--status=Failed"]],
    ["run list --status = f", ["Failed"]],
    ["run list --tag a=b --li", ["--limit"]],
    ["run show --log-f", ["--log-format"]],
    ["run show --log-format p", ["pretty", "plain"]],
    ["codespec create c -k ", ["job", "worker"]],
    ["buffer show --soft-deleted=", ["--soft-deleted=true", "--soft-deleted=false"]],
    ["completion z", ["zsh"]],
    ["__c", []],
    ["--ve", ["--version"]],
    ["run --ve", []],
    ["bogus ", []],
    ["run list --bogus --st", []],
    ["help ru", ["run"]],
    ["help run li", ["list"]],
    ["run list -l 5 --st", ["--status"]],
    ["run logs -fs ", []],
    ["login --local st", []],
    ["codespec create --kind=", ["--kind=job", "--kind=worker"]],
    ["run list --limit ", []],
    ["run list -l ", []],
    ["run exec -f x.yml --logs --re", ["--replicas", "--read-dop"]],
    ["codespec create c -- --in", []],
  ];
  test.each(cases)("'%s'", async (line, words) => {
    const { candidates, lookUp } = await suggestionsFor(wordsOf(line), TREE);
    expect(candidates.map(({ word }) => word)).toEqual(words);
    expect(lookUp).toBeUndefined();
  });

  test.each([
    ["run show ", { what: "run", prefix: "" }],
    ["run logs -f 4", { what: "run", prefix: "" }],
    ["run exec -c ", { what: "codespec", prefix: "" }],
    ["run exec --codespec=h", { what: "codespec", prefix: "--codespec=" }],
    ["codespec show ", { what: "codespec", prefix: "" }],
    ["run exec --file ", { what: "file", prefix: "" }],
  ])("'%s' is looked up", async (line, lookUp) => {
    expect(await suggestionsFor(wordsOf(line), TREE)).toEqual({ candidates: [], lookUp });
  });

  test("every command and flag has its description", async () => {
    const { candidates } = await suggestionsFor(["run", "exec", "--"], TREE);
    expect(candidates.length).toBeGreaterThan(15);
    expect(candidates.filter(({ description }) => description === "")).toEqual([]);
  });
});

describe("live ids", () => {
  let server: FakeServer;
  beforeEach(async () => {
    server = await new FakeServer().start();
    const runs = [
      { id: 71, status: "Running" },
      { id: 8, status: "Failed" },
    ];
    server.on("GET", /^\/runs\?/, (_, response) => reply(response, 200, { items: runs }));
    server.codespecs.set("hello", { name: "hello", version: 2 });
  });
  afterEach(() => server.stop());

  test.each([
    ["run show ", "71\tRunning\n8\tFailed\n"],
    ["run show 7", "71\tRunning\n"],
    ["run exec --codespec=h", "--codespec=hello\tversion 2\n"],
    ["run exec -f ", ":files\n"],
  ])("'%s'", async (line, stdout) => {
    expect(await tyger(["__complete", "--", ...wordsOf(line)], { server })).toEqual({ code: 0, stdout, stderr: "" });
  });

  test("a missing server or login is not an error at the prompt", async () => {
    await server.crash();
    const nothing = { code: 0, stdout: "", stderr: "" };
    expect(await tyger(["__complete", "--", "run", "show", ""], { server })).toEqual(nothing);
    expect(await tyger(["__complete", "--", "run", "show", ""])).toEqual(nothing);
  });
});

describe("the script for bash", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "tyger-completion-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** The words that bash offers if a command answers `lines` to `words`. */
  async function offered(words: string[], lines: string): Promise<string[]> {
    const program = join(dir, "tyger");
    writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > '${dir}/asked'\nprintf '%b' '${lines}'\n`);
    chmodSync(program, 0o755);
    const { stdout: script } = await tyger("completion bash");
    const array = [program, ...words].map((word) => `'${word}'`).join(" ");
    const call = `COMP_WORDBREAKS=' =:'; COMP_WORDS=(${array}); COMP_CWORD=${words.length}; _tyger; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync("bash", ["-c", `${script}\n${call}`], { cwd: dir, encoding: "utf8" });
    expect(stderr.replace(/.*compopt: not currently executing completion function\n/, "")).toBe("");
    return stdout.trim().split("\n");
  }

  test("offers words without their descriptions", async () => {
    expect(await offered(["run", "s"], "show\\tShow one run\\nstop\\t\\n")).toEqual(["show", "stop"]);
  });

  test("keeps the text before '='", async () => {
    expect(await offered(["run", "list", "--status", "=", "F"], "Failed\\t\\n")).toEqual(["Failed"]);
    expect(await offered(["run", "list", "--status="], "--status=Failed\\t\\n")).toEqual(["Failed"]);
  });

  test("offers files where a file is expected", async () => {
    writeFileSync(join(dir, "run.yml"), "");
    expect(await offered(["run", "exec", "-f", "run"], ":files\\n")).toEqual(["run.yml"]);
  });
});

test("each supported shell has a script; another shell is refused by name", async () => {
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    expect((await tyger(`completion ${shell}`)).stdout).toContain("__complete");
  }
  expect(await tyger("completion tcsh")).toEqual({
    code: 1,
    stdout: "",
    stderr: "Error: no completion for the shell 'tcsh'; use one of bash, zsh, fish, powershell\n",
  });
});
