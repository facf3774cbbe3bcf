import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCodespecFile, readRunFile } from "../../../cli/read/spec-file.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tyger-spec-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(text: string): Promise<string> {
  const path = join(folder, "spec.yml");
  await writeFile(path, text);
  return path;
}

test("a run file with everything", async () => {
  const path = await fileOf(`
# Every run has a "job"
job:
  codespec: mycodespec/versions/22
  buffers:
    input: lopoahtz7chepdpmgvunuvtqke
  tags: { mykey: myvalue }
  bufferTtl: 1.00:00
  nodePool: cpunp
  replicas: 1
worker: { codespec: w, replicas: 2 }
cluster: mycluster
timeoutSeconds: 43200
tags: { a: b }
bufferAccessTtl: 0.00:30
`);
  expect(await readRunFile(path)).toEqual({
    job: {
      codespec: "mycodespec/versions/22",
      buffers: { input: "lopoahtz7chepdpmgvunuvtqke" },
      tags: { mykey: "myvalue" },
      bufferTtl: "1.00:00",
      nodePool: "cpunp",
      replicas: 1,
    },
    worker: { codespec: "w", replicas: 2 },
    cluster: "mycluster",
    timeoutSeconds: 43_200,
    tags: { a: "b" },
    bufferAccessTtl: "0.00:30",
  });
});

test("scalars become text as they are written", async () => {
  const path = await fileOf(`
image: ubuntu
args: [1, 1.10, true, "2", 0x10, 2024-01-01]
env: { PORT: 8080, VERSION: 1.10, FLAG: false, EMPTY: "", NONE: ~, 5: five }
resources: { limits: { cpu: 1, memory: 2Gi }, gpu: 1 }
maxReplicas: 3
endpoints: { web: 80 }
`);
  expect(await readCodespecFile(path)).toEqual({
    image: "ubuntu",
    args: ["1", "1.10", "true", "2", "0x10", "2024-01-01"],
    env: { PORT: "8080", VERSION: "1.10", FLAG: "false", EMPTY: "", 5: "five" },
    resources: { limits: { cpu: "1", memory: "2Gi" }, gpu: "1" },
    maxReplicas: 3,
    endpoints: { web: 80 },
  });
});

test("JSON is YAML, and aliases stand for what they name", async () => {
  expect(await readRunFile(await fileOf('{"job": {"codespec": {"image": "x"}}}'))).toEqual({
    job: { codespec: { image: "x" } },
  });
  const path = await fileOf("image: &i ubuntu\nargs: [*i]\nenv: &e {a: b}\n");
  expect(await readCodespecFile(path)).toEqual({ image: "ubuntu", args: ["ubuntu"], env: { a: "b" } });
});

test("a codespec as the server shows it can be given back", async () => {
  const path = await fileOf("{kind: job, name: c, version: 3, createdAt: 2024-01-01T00:00:00Z, image: x}");
  expect(await readCodespecFile(path)).toEqual({ kind: "job", name: "c", image: "x" });
});

describe("what is refused, with the line and the field", () => {
  const cases: [text: string, reason: RegExp][] = [
    ["job: [", /spec\.yml' is not valid YAML: line 1: /],
    ["job:\n\tcodespec: x", /not valid YAML: line 2/],
    ["a: 1\n---\nb: 2", /not valid YAML/],
    ["job: {codespec: x}\njob: {codespec: y}", /not valid YAML: line 2/],
    ["", /spec\.yml' is empty/],
    ["# nothing", /spec\.yml' is empty/],
    ["\x7fELF\0\0", /spec\.yml' is not text/],
    ["just text", /line 1: a map is expected/],
    ["- a", /a map is expected/],
    ["job: {codespec: x}\nbufers: {}", /line 2: unknown field 'bufers'/],
    ["job:\n  codespec: x\n  bufers: {}", /line 3: unknown field 'bufers' in 'job'/],
    ["job: {codespec: {image: x, env: {}, pipes: []}}", /unknown field 'pipes' in 'job\.codespec'/],
    [
      "job: {codespec: {image: x, resources: {limits: {cpus: 1}}}}",
      /unknown field 'cpus' in 'job\.codespec\.resources\.limits'/,
    ],
    ["job: {codespec: {image: x, sockets: [{prt: 1}]}}", /unknown field 'prt' in 'job\.codespec\.sockets\[0\]'/],
    ["worker: {codespec: x, tags: {}}", /unknown field 'tags' in 'worker'/],
    ["status: Running", /unknown field 'status'/],
    ["__proto__: {}", /unknown field '__proto__'/],
    ["job: {codespec: {image: x, args: hello}}", /a list is expected in 'job\.codespec\.args'/],
    ["job: {codespec: {image: x, args: [[a]]}}", /a single value is expected in 'job\.codespec\.args\[0\]'/],
    ["job: {codespec: {image: x, args: [~]}}", /a value is missing in 'job\.codespec\.args\[0\]'/],
    ["job: {codespec: {image: x, env: [a]}}", /a map is expected in 'job\.codespec\.env'/],
    ["job: {codespec: {image: {a: b}}}", /a single value is expected in 'job\.codespec\.image'/],
    ["job: {codespec: [x]}", /a map is expected in 'job\.codespec'/],
    ["job: {codespec: x, replicas: many}", /a whole number is expected in 'job\.replicas', not 'many'/],
    ["timeoutSeconds: 1.5", /a whole number is expected in 'timeoutSeconds', not '1\.5'/],
    ["job: &a {codespec: *a}", /spec\.yml/],
  ];
  test.each(cases)("%s", async (text, reason) => {
    await expect(readRunFile(await fileOf(text))).rejects.toThrow(reason);
  });

  test("a file that is not there", async () => {
    const reason = "the file '/no/such.yml' cannot be read: there is no such file";
    await expect(readRunFile("/no/such.yml")).rejects.toThrow(reason);
    await expect(readRunFile("/tmp")).rejects.toThrow("the file '/tmp' cannot be read: it is a folder");
  });

  test("a bomb of aliases ends at once", async () => {
    const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(",")}]`);
    const path = await fileOf(`a0: &a0 x\n${levels.join("\n")}\n`);
    await expect(readRunFile(path)).rejects.toThrow("unknown field 'a0'");
  });
});
