import { Validator } from "@seriousme/openapi-schema-validator";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { openApiOf } from "../../contract/openapi.ts";
import { type Route, ROUTES } from "../../contract/routes.ts";
import type { FakeApi } from "../fakes/api.ts";
import { WITH_AND_WITHOUT_TOKENS } from "../fakes/token-api.ts";

type Json = Record<string, unknown>;
const document = JSON.parse(JSON.stringify(openApiOf(ROUTES))) as {
  paths: Record<string, Record<string, Json>>;
  components: { schemas: Record<string, Json> };
};

test("the document is valid OpenAPI 3.0", async () => {
  const validator = new Validator();
  expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
  expect(validator.version).toBe("3.0");
});

const LIMIT = "limit int";
const CT = "_ct string";
/** The table of section 15, for the routes that exist. A parameter in parentheses is ours. */
const OPERATIONS: readonly [operation: string, id: string, parameters: string, body: string, answers: string][] = [
  ["POST /buffers", "createBuffer", "", "Buffer", "201 Created Buffer"],
  [
    "GET /buffers/{id}",
    "getBufferById",
    "id; softDeleted bool",
    "",
    "200 OK Buffer; 400 Bad Request ErrorBody; 404 Not Found ErrorBody",
  ],
  [
    "POST /buffers/{id}/access",
    "getBufferAccessString",
    "id; writeable bool; preferTcp bool; fromDocker bool; ttl date-span",
    "",
    "201 Created BufferAccess; 404 Not Found ErrorBody",
  ],
  ["GET /buffers/storage-accounts", "getStorageAccounts", "", "", "200 OK StorageAccount[]"],
  ["PUT /codespecs/{name}", "", "name", "CS", "200 OK CS; 201 Created CS; 400 Bad Request ErrorBody"],
  ["GET /codespecs/{name}", "", "name", "", "200 OK CS"],
  ["GET /codespecs", "", `${LIMIT}; ${CT}; prefix string`, "", "200 OK CodespecPage"],
  ["GET /codespecs/{name}/versions/{version}", "", "name; version", "", "200 OK CS"],
  ["POST /runs", "", "", "Run", "201 Created Run; 400 Bad Request ErrorBody"],
  ["GET /runs", "", `${LIMIT}; ${CT}; since dt; status string[]; tag TAG`, "", "200 Success RunPage"],
  ["GET /runs/counts", "", "since dt; tag TAG", "", "200 Success Counts"],
  ["GET /runs/{runId}", "", "runId; watch bool", "", "200 OK Run; 404 Not Found ErrorBody"],
  [
    "GET /runs/{runId}/logs",
    "",
    "runId; timestamps bool; tailLines int; since dt; follow bool",
    "",
    "200 OK ; 404 Not Found ErrorBody",
  ],
  [
    "PUT /runs/{runId}",
    "setRunTags",
    "runId",
    "RunUpdate",
    "200 OK Run; 404 Not Found ErrorBody; 412 Precondition Failed ErrorBody",
  ],
  ["POST /runs/{runId}/cancel", "", "runId", "", "202 Accepted Run; 404 Not Found ErrorBody"],
  ["GET /metadata", "", "", "", "200 OK ServiceMetadata"],
  ["GET /database-version-in-use", "", "", "", "200 OK DatabaseVersionInUse"],
];

const CS = JSON.stringify({
  oneOf: ["JobCodespec", "WorkerCodespec"].map((name) => ({ $ref: `#/components/schemas/${name}` })),
});
const LONG = { type: "integer", format: "int64" };
const COUNTS = JSON.stringify({
  type: "object",
  properties: { Pending: LONG, Running: LONG, Failed: LONG, Succeeded: LONG, Canceling: LONG, Canceled: LONG },
  additionalProperties: false,
});
const TAG = JSON.stringify({
  style: "deepObject",
  explode: true,
  schema: { type: "object", additionalProperties: { type: "string" } },
});

interface Schema {
  $ref?: string;
  type?: string;
  format?: string;
  enum?: string[];
  items?: Schema;
  oneOf?: Schema[];
  additionalProperties?: Schema | false;
  nullable?: boolean;
  minLength?: number;
}
const WORDS: Readonly<Record<string, string>> = { int32: "int", int64: "long", "date-time": "dt" };

/** A schema in the words of section 15; `?` is nullable. */
function wordOf(schema: Schema): string {
  const text = JSON.stringify(schema);
  if (text === CS) return "CS";
  if (text === COUNTS) return "Counts";
  if (schema.$ref !== undefined) return schema.$ref.replace("#/components/schemas/", "");
  return `${plainWordOf(schema)}${schema.minLength === 1 ? " minLength 1" : ""}${schema.nullable ? "?" : ""}`;
}

function plainWordOf({ type = "", format, enum: values, items, oneOf, additionalProperties }: Schema): string {
  if (values) return `${values.join("|")} ${type}`.trim();
  if (oneOf) return `oneOf ${oneOf.map(wordOf).join("|")}${additionalProperties === false ? " closed" : ""}`;
  if (items) return `${wordOf(items)}[]`;
  if (additionalProperties) return `map of ${wordOf(additionalProperties)}`;
  return format === undefined ? (type === "boolean" ? "bool" : type) : (WORDS[format] ?? format);
}

function parameterOf({ name, in: place, required, description: _description, ...rest }: Json): string {
  if (place === "path") return required === true ? String(name) : "";
  return `${String(name)} ${JSON.stringify(rest) === TAG ? "TAG" : wordOf(rest["schema"] as Json)}`;
}

const contentOf = (part: unknown): string => {
  const schema = (part as { content?: Record<string, { schema: Json }> } | undefined)?.content?.["application/json"]
    ?.schema;
  return schema ? wordOf(schema) : "";
};

const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
);

test("it has the operations of the routes that exist, and no other", () => {
  expect(documented.map(({ name }) => name).toSorted()).toEqual(OPERATIONS.map(([name]) => name).toSorted());
});

test.each(OPERATIONS)("%s", (name, id, parameters, body, answers) => {
  const operation = documented.find((one) => one.name === name)?.operation ?? {};
  const responses = Object.entries(operation["responses"] as Record<string, Json>);
  expect({
    id: operation["operationId"] ?? "",
    parameters: ((operation["parameters"] ?? []) as Json[]).map(parameterOf).join("; "),
    body: contentOf(operation["requestBody"]),
    answers: responses
      .map(([status, answer]) => `${status} ${answer["description"] as string} ${contentOf(answer)}`)
      .join("; "),
    summary: operation["summary"],
  }).toEqual({ id, parameters, body, answers, summary: expect.stringMatching(/^[A-Z].*\.$/) });
});

const REF_CODESPEC = "oneOf string|Codespec";
/** The table of the schemas of section 15. Properties with their words; `required` is what a request must have. */
const SCHEMAS: Readonly<Record<string, { required?: string[]; extends?: string; properties: Record<string, string> }>> =
  {
    Buffer: {
      properties: {
        id: "string",
        location: "string?",
        createdAt: "dt?",
        isSoftDeleted: "bool",
        expiresAt: "dt?",
        tags: "map of string?",
        eTag: "string?",
      },
    },
    BufferAccess: { properties: { uri: "uri" } },
    BufferParameters: { properties: { inputs: "string[]?", outputs: "string[]?" } },
    Codespec: {
      required: ["image"],
      properties: {
        kind: "job|worker",
        name: "string?",
        version: "int?",
        createdAt: "dt?",
        image: "string minLength 1",
        command: "string[]?",
        args: "string[]?",
        workingDir: "string?",
        env: "map of string?",
        identity: "string?",
        resources: "CodespecResources",
        maxReplicas: "int?",
      },
    },
    CodespecPage: { properties: { items: "CS[]", nextLink: "uri?" } },
    CodespecResources: {
      properties: {
        limits: "OvercommittableResources",
        requests: "OvercommittableResources",
        gpu: "string?",
        shm: "string?",
      },
    },
    DatabaseVersionInUse: { properties: { id: "int" } },
    ErrorBody: { properties: { error: "ErrorInfo" } },
    ErrorInfo: { properties: { code: "string", message: "string", apiVersions: "string[]?" } },
    JobCodespec: { extends: "Codespec", properties: { buffers: "BufferParameters", sockets: "Socket[]?" } },
    JobRunCodeTarget: {
      extends: "RunCodeTarget",
      properties: { buffers: "map of string?", tags: "map of string?", bufferTtl: "date-span?" },
    },
    OvercommittableResources: { properties: { cpu: "string?", memory: "string?" } },
    Run: {
      required: ["job"],
      properties: {
        kind: "user|system",
        id: "long?",
        eTag: "string?",
        status: "Pending|Running|Failed|Succeeded|Canceling|Canceled string?",
        statusReason: "string?",
        runningCount: "int?",
        createdAt: "dt?",
        startedAt: "dt?",
        finishedAt: "dt?",
        job: "JobRunCodeTarget",
        worker: "oneOf RunCodeTarget|JobRunCodeTarget closed?",
        timeoutSeconds: "int?",
        cluster: "string?",
        tags: "map of string?",
        bufferAccessTtl: "date-span",
      },
    },
    RunCodeTarget: {
      required: ["codespec"],
      properties: { codespec: REF_CODESPEC, nodePool: "string?", replicas: "int" },
    },
    RunUpdate: { properties: { id: "long?", tags: "map of string?" } },
    RunPage: { properties: { items: "Run[]", nextLink: "uri?" } },
    ServiceMetadata: {
      properties: {
        rbacEnabled: "bool",
        authority: "string?",
        audience: "string?",
        apiAppUri: "string?",
        apiAppId: "string?",
        cliAppUri: "string?",
        cliAppId: "string?",
        // Ours: the contract allows more.
        scope: "string?",
        capabilities: "string[]?",
        apiVersions: "string[]?",
        storageEndpoints: "uri[]?",
      },
    },
    Socket: { properties: { port: "int", inputBuffer: "string?", outputBuffer: "string?" } },
    StorageAccount: { properties: { name: "string", location: "string", endpoint: "string" } },
    WorkerCodespec: { extends: "Codespec", properties: { endpoints: "map of int?" } },
  };

test("it has the schemas that its operations need, and no other", () => {
  expect(Object.keys(document.components.schemas)).toEqual(Object.keys(SCHEMAS).toSorted());
});

test.each(Object.entries(SCHEMAS))("the schema %s", (name, expected) => {
  const schema = document.components.schemas[name] ?? {};
  const [base, own = schema] = (schema["allOf"] ?? []) as Json[];
  const properties = Object.entries(own["properties"] as Record<string, Json>);
  expect({
    ...(own["required"] !== undefined && { required: own["required"] }),
    ...(base && { extends: wordOf(base) }),
    properties: Object.fromEntries(properties.map(([property, member]) => [property, wordOf(member)])),
  }).toEqual(expected);
  expect(schema["additionalProperties"]).toEqual(base && {});
  const undescribed = properties.filter(
    ([, member]) => !("$ref" in member) && !/^[A-Z0-9].*\.$/.test(String(member["description"])),
  );
  expect(undescribed).toEqual([]);
});

describe.each(WITH_AND_WITHOUT_TOKENS)("on the server, %s,", (_name, create) => {
  let api: FakeApi;
  beforeEach(() => {
    api = create();
  });
  afterEach(() => api.app.close());
  const get = (url: string) => api.app.inject({ method: "GET", url });

  test.each(["", "?api-version=99"])("any caller gets it, whatever the version (%s)", async (query) => {
    const json = await get(`/swagger/v1.0/swagger.json${query}`);
    expect([json.statusCode, json.headers["content-type"]]).toEqual([200, "application/json; charset=utf-8"]);
    expect(json.json()).toEqual(document);
    const yaml = await get(`/swagger/v1.0/swagger.yaml${query}`);
    expect([yaml.statusCode, yaml.headers["content-type"]]).toEqual([200, "application/yaml; charset=utf-8"]);
    expect(parse(yaml.body)).toEqual(document);
  });

  test("a page shows it, with files of this server only", async () => {
    for (const url of ["/swagger", "/swagger/", "/swagger/index.html"]) {
      const page = await get(url);
      expect([page.statusCode, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
      expect(page.headers["content-security-policy"]).toContain("default-src 'self'");
      const files = [...page.body.matchAll(/(?:href|src)="(\/[^"]*)"/g)].map(([, file = ""]) => file);
      expect(files).toEqual(["/swagger/swagger-ui.css", "/swagger/swagger-ui-bundle.js", "/swagger/page.js"]);
      for (const file of files) {
        const { statusCode, headers, body } = await get(file);
        expect([file, statusCode]).toEqual([file, 200]);
        expect(headers["content-type"]).toBe(
          file.endsWith(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8",
        );
        expect(body.length).toBeGreaterThan(100);
      }
    }
    expect((await get("/swagger/page.js")).body).toContain('"/swagger/v1.0/swagger.json"');
  });

  test("a file that the page does not have is a bare 404", async () => {
    const answer = await get("/swagger/swagger-ui.js");
    expect([answer.statusCode, answer.body]).toEqual([404, ""]);
    expect((await get("/swagger/nothing")).json().error.code).toBe("InvalidRoute");
  });

  test("every route of the contract is answered by the server", async () => {
    await api.app.ready();
    for (const route of Object.values<Route>(ROUTES)) {
      const url = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
      expect([route.path, api.app.hasRoute({ method: route.method, url })]).toEqual([route.path, true]);
    }
  });
});
