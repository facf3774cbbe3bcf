import { expectTypeOf, test } from "vitest";
import type { BUFFER } from "../../contract/fields/buffer-fields.ts";
import type { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import type { AnswerOf, FileOf, InputOf, RequestOf } from "../../contract/fields/message-types.ts";
import type { RUN } from "../../contract/fields/run-fields.ts";
import type { BodyOf, PathOf, QueryOf, ROUTES, SuccessOf } from "../../contract/routes.ts";
import type { Buffer } from "../../model/buffer/buffer.ts";
import type { Codespec, CodespecVersion } from "../../model/codespec/codespec.ts";
import type { Run, RunStatus } from "../../model/run/run.ts";

type Routes = typeof ROUTES;

test("the domain's resources can be answered", () => {
  expectTypeOf<Run>().toExtend<AnswerOf<typeof RUN>>();
  expectTypeOf<Buffer>().toExtend<AnswerOf<typeof BUFFER>>();
  expectTypeOf<CodespecVersion>().toExtend<AnswerOf<typeof CODESPEC>>();
});

test("a checked request is what the domain takes", () => {
  expectTypeOf<Omit<InputOf<typeof CODESPEC>, "name">>().toExtend<Omit<Codespec, "buffers">>();
  type RunInput = InputOf<typeof RUN>;
  expectTypeOf<RunInput["timeoutSeconds"]>().toEqualTypeOf<number>();
  expectTypeOf<RunInput["bufferAccessTtl"]>().toEqualTypeOf<string>();
  expectTypeOf<RunInput["job"]["replicas"]>().toEqualTypeOf<number>();
  expectTypeOf<RunInput["tags"]>().toEqualTypeOf<Record<string, string> | undefined>();
  expectTypeOf<RunInput>().not.toHaveProperty("status");
  expectTypeOf<NonNullable<RunInput["worker"]>>().not.toHaveProperty("buffers");
});

test("variants have fields of their own, and their kind tells them apart", () => {
  type Job = Extract<AnswerOf<typeof CODESPEC>, { kind: "job" }>;
  expectTypeOf<Job>().toHaveProperty("sockets");
  expectTypeOf<Job>().not.toHaveProperty("endpoints");
  expectTypeOf<Job["name"]>().toEqualTypeOf<string>();
  type Inlined = AnswerOf<typeof RUN>["job"]["codespec"];
  expectTypeOf<Inlined["kind"]>().toEqualTypeOf<"job">();
  expectTypeOf<Inlined["name"]>().toEqualTypeOf<string | undefined>();
});

test("a request names or has its codespec, a file can leave everything out", () => {
  expectTypeOf<"hello/versions/2">().toExtend<RequestOf<typeof RUN>["job"]["codespec"]>();
  expectTypeOf<{ job: { codespec: { kind: "job"; image: string } } }>().toExtend<RequestOf<typeof RUN>>();
  expectTypeOf<{ job: object }>().not.toExtend<RequestOf<typeof RUN>>();
  expectTypeOf<{ kind: "job" }>().not.toExtend<RequestOf<typeof CODESPEC>>();
  expectTypeOf<{ job: { codespec: { env: { A: "1" } } } }>().toExtend<FileOf<typeof RUN>>();
  expectTypeOf<FileOf<typeof RUN>>().not.toHaveProperty("status");
  expectTypeOf<FileOf<typeof CODESPEC>>().not.toHaveProperty("version");
});

test("a route has the types of its path, query, body and answer", () => {
  expectTypeOf<PathOf<Routes["getCodespecVersion"]>>().toEqualTypeOf<{ name: string; version: string }>();
  expectTypeOf<QueryOf<Routes["listRuns"]>>().toEqualTypeOf<{
    limit?: number | undefined;
    _ct?: string | undefined;
    since?: string | undefined;
    status?: readonly RunStatus[] | undefined;
    tag?: Record<string, string> | undefined;
  }>();
  expectTypeOf<BodyOf<Routes["createRun"]>>().toEqualTypeOf<RequestOf<typeof RUN>>();
  expectTypeOf<BodyOf<Routes["getRun"]>>().toEqualTypeOf<undefined>();
  expectTypeOf<SuccessOf<Routes["cancelRun"]>>().toEqualTypeOf<AnswerOf<typeof RUN>>();
  expectTypeOf<SuccessOf<Routes["countRuns"]>>().toEqualTypeOf<Record<string, number>>();
  expectTypeOf<SuccessOf<Routes["sweepRuns"]>>().toEqualTypeOf<undefined>();
});
