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
    env: { PORT: "8080", VERSION: "1.10", FLAG: "false", EMPTY: "", NONE: "", 5: "five" },
    resources: { limits: { cpu: "1", memory: "2Gi" }, gpu: "1" },
    maxReplicas: 3,
    endpoints: { web: 80 },
  });
});

test("a key or an item without a value is an empty text, however it is written; a field without a value is absent", async () => {
  const path = await fileOf(`
job:
  codespec: { image: x, args: [a, ~, null, ""], command: [ "b", ], env: { A: , B: ~, C: null, D: "", E }, workingDir: }
  tags:
    a:
    b: ~
cluster:
`);
  expect(await readRunFile(path)).toEqual({
    job: {
      codespec: { image: "x", args: ["a", "", "", ""], command: ["b"], env: { A: "", B: "", C: "", D: "", E: "" } },
      tags: { a: "", b: "" },
    },
  });
  expect(await readRunFile(await fileOf("job: {codespec: {image: x, args: [\n  ]}}"))).toEqual({
    job: { codespec: { image: "x", args: [] } },
  });
});

test("keys are kept as written, whatever type YAML resolves them to", async () => {
  const tags = "{no: 1, false: 1, 1.10: 2, 1.1: 3, 0x10: 4, 2026-11-26: 5, null: 6, ~: 7, yes: 8, 1e3: 9, 007: 10}";
  expect(await readRunFile(await fileOf(`tags: ${tags}`))).toEqual({
    tags: {
      no: "1",
      false: "1",
      "1.10": "2",
      "1.1": "3",
      "0x10": "4",
      "2026-11-26": "5",
      null: "6",
      "~": "7",
      yes: "8",
      "1e3": "9",
      "007": "10",
    },
  });
  // An old version of YAML takes more words for other types.
  expect(await readRunFile(await fileOf(`%YAML 1.1\n---\ntags: {no: yes, on: 1_000, 010: 1:30}`))).toEqual({
    tags: { no: "yes", on: "1_000", "010": "1:30" },
  });
});

test.each([
  "yes",
  "no",
  "1.10",
  "0x10",
  "007",
  "1e3",
  ".5",
  "+1",
  "1_000",
  "2026-11-26",
  "TRUE",
  "0o17",
  ".inf",
  "12:30:45",
])("a value is kept as written: %s", async (text) => {
  expect(await readRunFile(await fileOf(`tags: {a: ${text}}\ncluster: ${text}`))).toEqual({
    tags: { a: text },
    cluster: text,
  });
});

test("<< merges maps: own keys win, then those of the map that is named first", async () => {
  const path = await fileOf(`
job:
  codespec:
    image: x
    env: &base { A: base, B: base, C: base }
    resources:
      requests: &amounts { cpu: 1, memory: 1Gi }
      limits: { <<: *amounts, cpu: 2 }
  tags: &more { B: more, D: more }
tags:
  C: own
  <<: [*more, *base, { E: inline }]
`);
  const { job, tags } = await readRunFile(path);
  expect(tags).toEqual({ A: "base", B: "more", C: "own", D: "more", E: "inline" });
  expect(job?.codespec).toMatchObject({ resources: { limits: { cpu: "2", memory: "1Gi" } } });
  expect(await readRunFile(await fileOf('tags: {"<<": literal}'))).toEqual({ tags: { "<<": "literal" } });
});

test("merges of merges end at once", async () => {
  const levels = Array.from({ length: 60 }, (_, i) => `  - &a${i + 1} {<<: [*a${i}, *a${i}]}`);
  const path = await fileOf(`job:\n  codespec: {image: x}\ntags:\n  <<:\n  - &a0 {A: x}\n${levels.join("\n")}\n`);
  expect((await readRunFile(path)).tags).toEqual({ A: "x" });
});

test("JSON is YAML, and aliases are resolved", async () => {
  expect(await readRunFile(await fileOf('{"job": {"codespec": {"image": "x"}}}'))).toEqual({
    job: { codespec: { image: "x" } },
  });
  const path = await fileOf("image: &i ubuntu\nargs: [*i]\nenv: &e {a: b}\n");
  expect(await readCodespecFile(path)).toEqual({ image: "ubuntu", args: ["ubuntu"], env: { a: "b" } });
});

test("a codespec that the server printed can be used as a file", async () => {
  const path = await fileOf("{kind: job, name: c, version: 3, createdAt: 2024-01-01T00:00:00Z, image: x}");
  expect(await readCodespecFile(path)).toEqual({ kind: "job", name: "c", image: "x" });
});

describe("an invalid file is refused with the line and the field", () => {
  const cases: [text: string, reason: RegExp][] = [
    ["job: [", /spec\.yml' is not valid YAML: line 1: /],
    ["job:\n\tcodespec: x", /not valid YAML: line 2/],
    ["a: 1\n---\nb: 2", /spec\.yml' has several YAML documents, the second in line 2; give one$/],
    ["job: {codespec: x}\n---\n", /has several YAML documents, the second in line 2/],
    ["job: {codespec: x}\njob: {codespec: y}", /line 2: the key 'job' is given twice$/],
    ["tags: {a: 1,\n a: 2}", /line 2: the key 'a' is given twice in 'tags'/],
    ["tags:\n  <<: 5", /line 2: a map is expected after '<<' in 'tags'/],
    ["tags: {<<: }", /a map is expected after '<<' in 'tags'/],
    ["tags: &t {<<: *t}", /a map is merged into itself in 'tags'/],
    [
      "job: {codespec: {image: x, env: &e {A: 1, B: 2}, resources: {<<: *e}}}",
      /unknown field 'A' in 'job\.codespec\.resources'/,
    ],
    ["tags: {[a]: b}", /a single value is expected in 'tags'/],
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
    ["job: {codespec: {image: x, sockets: [~]}}", /a value is missing in 'job\.codespec\.sockets\[0\]'/],
    ["worker: {codespec: {image: x, endpoints: {web: }}}", /a value is missing in 'worker\.codespec\.endpoints\.web'/],
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

  test("a missing file", async () => {
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
