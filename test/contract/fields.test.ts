import { readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { Readable } from "node:stream";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { describe, expect, expectTypeOf, test } from "vitest";
import { columnsOf } from "../../cli/print/list-columns.ts";
import { printed } from "../../cli/print/printed.ts";
import { fileShapeOf } from "../../cli/read/file-shape.ts";
import { readYamlFile } from "../../cli/read/yaml-file.ts";
import { answerOf } from "../../contract/answer.ts";
import { equalityOf } from "../../contract/equality.ts";
import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import type { Table } from "../../contract/fields/field.ts";
import type { AnswerOf, FileOf, InputOf, RequestOf } from "../../contract/fields/message-types.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import { requestSchema } from "../../contract/lenient/request-schema.ts";
import { openApiOf } from "../../contract/openapi.ts";
import { ROUTES } from "../../contract/routes.ts";
import { shownRow } from "../../db/row.ts";
import { LOCAL_USER } from "../../model/caller.ts";
import type { RunRequest } from "../../model/run/run.ts";
import { createRunCreation } from "../../runs/create.ts";
import { storesIn } from "../fakes/locations.ts";
import { createFakeRecords } from "../fakes/records.ts";
import { soleCluster } from "../fakes/clusters.ts";

/** Copies of two tables with made-up fields: what a new field would be, in its only place in contract/. */
const NEW_CODESPEC = {
  ...CODESPEC,
  fields: {
    ...CODESPEC.fields,
    disk: { type: "quantity", doc: "Made up.", only: "job" },
    zones: { type: { listOf: "text" }, doc: "Made up.", compared: "in any order" },
  },
} as const satisfies Table;
const NEW_RUN = {
  ...RUN,
  fields: {
    urgency: { type: "int32", doc: "Made up.", min: 0, max: 9, default: 3, columns: [{ title: "URGENCY", at: 1.5 }] },
    seenAt: { type: "instant", doc: "Made up.", request: "ignored", isProgress: true },
    ...RUN.fields,
  },
} as const satisfies Table;

const JOB = { codespec: { kind: "job", image: "i" } };
const SHOWN = {
  id: 7,
  eTag: "1",
  status: "Running",
  createdAt: "2024-01-25T18:20:49+00:00",
  job: JOB,
  timeoutSeconds: 600,
  bufferAccessTtl: "01:00:00",
};

describe("a field that is added to a table is in", () => {
  test("the types of requests, answers and files", () => {
    expectTypeOf<RequestOf<typeof NEW_RUN>>().toHaveProperty("urgency").toEqualTypeOf<number | undefined>();
    expectTypeOf<InputOf<typeof NEW_RUN>>().toHaveProperty("urgency").toEqualTypeOf<number>();
    expectTypeOf<AnswerOf<typeof NEW_RUN>>().toHaveProperty("seenAt").toEqualTypeOf<string | undefined>();
    expectTypeOf<RequestOf<typeof NEW_RUN>>().not.toHaveProperty("seenAt");
    expectTypeOf<FileOf<typeof NEW_RUN>>().toHaveProperty("urgency").toEqualTypeOf<number | undefined>();
  });

  test("the schema of requests", () => {
    const schema = requestSchema(NEW_RUN);
    expect(schema.parse({ JOB, Urgency: "7", seenAt: "whenever" })).toMatchObject({ urgency: 7 });
    expect(schema.parse({ job: JOB, seenAt: "whenever" })).toEqual(
      expect.not.objectContaining({ seenAt: expect.anything() }),
    );
    expect(schema.parse({ job: JOB }).urgency).toBe(3);
    expect(schema.safeParse({ job: JOB, urgency: 10 }).error?.issues[0]?.path).toEqual(["urgency"]);
    expect(requestSchema(RUN).safeParse({ job: JOB, urgency: 7 }).success).toBe(false);
    const codespec = { kind: "job", image: "i", disk: "1024Mi", zones: ["a"] };
    expect(requestSchema(NEW_CODESPEC).parse(codespec)).toMatchObject({ disk: "1Gi", zones: ["a"] });
    expect(requestSchema(NEW_CODESPEC).safeParse({ kind: "worker", image: "i", disk: "1" }).success).toBe(false);
  });

  test("answers", () => {
    const show = answerOf({ object: NEW_RUN });
    expect(show({ ...SHOWN, urgency: 0 })).toEqual({ ...SHOWN, urgency: 0 });
    expect(() => show({ ...SHOWN, urgency: "high" })).toThrow("'Run.urgency'");
    expect(answerOf({ object: RUN })({ ...SHOWN, urgency: 0 })).toEqual(SHOWN);
  });

  test("the order of printing", () => {
    const text = JSON.stringify(
      printed(NEW_RUN.fields, { ...SHOWN, seenAt: "2024-01-25T18:20:49.10+00:00", urgency: 7 }),
    );
    expect(text).toMatch(/^\{"urgency":7,"seenAt":"2024-01-25T18:20:49.1Z","id":7,"status":"Running"/);
  });

  test("files", async () => {
    const read = (yaml: string, table: Table) =>
      readYamlFile("-", fileShapeOf(table), () => Readable.from([Buffer.from(yaml)]));
    expect(await read("urgency: 7\njob: { codespec: c }", NEW_RUN)).toEqual({ urgency: 7, job: { codespec: "c" } });
    expect(await read("disk: 1\nzones: [a, 1]", NEW_CODESPEC)).toEqual({ disk: "1", zones: ["a", "1"] });
    await expect(read("seenAt: 2024-01-01", NEW_RUN)).rejects.toThrow("unknown field 'seenAt'");
    await expect(read("urgency: 7", RUN)).rejects.toThrow("unknown field 'urgency'");
  });

  test("the equality of codespecs", () => {
    const [isSame, wasSame] = [equalityOf(NEW_CODESPEC), equalityOf(CODESPEC)];
    const base = { kind: "job", image: "i", disk: "1Gi", zones: ["a", "b"] };
    expect(isSame(base, { ...base, disk: "1024Mi", zones: ["b", "a"] })).toBe(true);
    expect(isSame(base, { ...base, disk: "2Gi" })).toBe(false);
    expect(isSame(base, { ...base, zones: ["a"] })).toBe(false);
    expect(wasSame(base, { ...base, disk: "2Gi" })).toBe(true);
  });

  test("the columns of a list", () => {
    const columns = columnsOf(NEW_RUN.fields);
    expect(columns.map(({ title }) => title).slice(0, 3)).toEqual(["ID", "URGENCY", "STATUS"]);
    expect(columns[1]?.textOf({ urgency: 7 })).toBe("7");
  });

  test("the OpenAPI document", () => {
    const schemasOf = (body: Table) =>
      openApiOf({ any: { ...ROUTES.createRun, body, answers: {} } }).components.schemas;
    const schemas = { ...schemasOf(NEW_RUN), ...schemasOf(NEW_CODESPEC) };
    expect(schemas["Run"]).toHaveProperty("properties.urgency", {
      type: "integer",
      format: "int32",
      description: "Made up.",
      nullable: true,
    });
    expect(schemas["JobCodespec"]).toHaveProperty("allOf.1.properties.disk");
    expect(schemas["Codespec"]).toHaveProperty("properties.zones");
  });
});

test("two tables of one name are refused", () => {
  const routes = { createRun: { ...ROUTES.createRun, body: NEW_RUN } };
  expect(() => openApiOf(routes)).toThrow("Two tables have the name 'Run'");
});

describe("a field that no code of the server reads", () => {
  const withRack = (request: RunRequest): RunRequest => {
    const job = { ...request.job, rack: "r" };
    return { ...request, job };
  };

  test("is stored with its run, and inside its job", async () => {
    const records = createFakeRecords();
    const creation = createRunCreation({
      ...records,
      store: storesIn({ provision: async () => {}, delete: async () => {} } as never),
      clusters: soleCluster(),
      workflows: { start: () => {} },
      maxOpenRuns: 5,
    });
    const request = requestSchema(NEW_RUN).parse({ job: JOB, urgency: 7 });
    const { id } = await creation.create(LOCAL_USER, withRack(request), undefined);
    expect(records.runRows.get(id)).toMatchObject({ urgency: 7, job: { rack: "r" } });
  });

  test("comes out of its column under its own name", () => {
    const table = pgTable("runs", {
      id: integer("id").notNull(),
      urgency: integer("urgency"),
      rack: text("rack_name"),
    });
    expect(shownRow(table, { id: 1, urgency: 0, rack: "r" })).toEqual({ id: 1, urgency: 0, rack: "r" });
    expect(shownRow(table, { id: 1, urgency: null, rack: null })).toEqual({ id: 1 });
  });
});

describe("zod is not loaded", () => {
  const ROOT = resolve(import.meta.dirname, "../..");

  /** The packages and the files of ours that a file loads. */
  function loadedBy(entry: string): { packages: Set<string>; files: Set<string> } {
    const [packages, files, todo] = [new Set<string>(), new Set<string>(), [resolve(ROOT, entry)]];
    for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
      if (files.has(file) || file.endsWith(".json")) continue;
      files.add(file);
      const statement = /(?:^|\n)(?:import|export)\s+(?!type\s)(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/g;
      for (const [, target = ""] of readFileSync(file, "utf8").matchAll(statement)) {
        if (target.startsWith(".")) todo.push(resolve(dirname(file), target));
        else if (!target.startsWith("node:")) packages.add(target);
      }
    }
    return { packages, files: new Set([...files].map((file) => relative(ROOT, file))) };
  }

  test.each(["contract/routes.ts", "contract/answer.ts", "contract/equality.ts", "contract/openapi.ts"])(
    "by %s",
    (entry) => {
      expect([...loadedBy(entry).packages]).toEqual([]);
    },
  );

  test.each(["show", "list", "watch"])("by 'run %s'", (name) => {
    const { packages, files } = loadedBy(`cli/commands/run/${name}.ts`);
    expect(files).toContain("contract/fields/run-fields.ts");
    expect(packages).not.toContain("zod");
  });
});
