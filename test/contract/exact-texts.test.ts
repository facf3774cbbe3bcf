import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeBuffer } from "../../buffers/format/writer.ts";
import { fromUrl } from "../../buffers/access/access.ts";
import { blobsOver } from "../../buffers/access/blob-client.ts";
import { createLog } from "../../config/log.ts";
import { outcomeOf } from "../../model/run/lifecycle.ts";
import { writeLogin } from "../../client/login-writer.ts";
import { tyger } from "../cli/command-line.ts";
import { startDataPlane, type TestDataPlane } from "../data-plane.ts";
import { createFakeApi, type FakeApi } from "../fakes/api.ts";
import { createTokenApi, tokenOf, WITH_AND_WITHOUT_TOKENS } from "../fakes/token-api.ts";
import { FakeServer } from "../fakes/tyger-server.ts";

/**
 * Every text that the contract marks as exact, with its section. Clients compare these texts byte for byte, so none of
 * them may be reworded. Each one is produced by the real server, command or rule, never copied from the source.
 */

const LOGIN_WITH_TOKEN = {
  authority: "https://issuer.example.org",
  lastToken: tokenOf("ada", ["contributor"]),
  lastTokenExpiration: Math.floor(Date.now() / 1000) + 3600,
};

describe.each(WITH_AND_WITHOUT_TOKENS)("%s", (_name, create) => {
  let api: FakeApi;
  let plane: TestDataPlane;
  let folder: string;
  let loginFile: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tyger-exact-"));
    loginFile = join(folder, "login");
    api = create();
    const socket = join(folder, "api.sock");
    await api.app.listen({ path: socket });
    // Over its socket too, this fake asks for tokens.
    const login = create === createTokenApi ? LOGIN_WITH_TOKEN : {};
    writeLogin(loginFile, { serverUrl: `http+unix://${socket}:`, ...login });
    plane = await startDataPlane();
  });
  afterEach(async () => {
    await plane.close();
    await api.app.close();
    await rm(folder, { recursive: true });
  });

  type Method = "GET" | "POST" | "PUT" | "DELETE";
  const JOB = { kind: "job", image: "ubuntu" };

  /** The answer of the server. */
  const call = (method: Method, url: string, payload?: object) =>
    api.app.inject({
      method,
      url: url.includes("?") ? url : `${url}?api-version=1.0`,
      ...(payload && { payload }),
    });
  /** The message of a refusal. */
  async function refusal(method: Method, url: string, payload?: object): Promise<string> {
    const answer = await call(method, url, payload);
    expect(answer.statusCode).toBeGreaterThanOrEqual(400);
    return answer.json().error.message;
  }
  const createRun = (run: object) => refusal("POST", "/runs", run);
  const putCodespec = (codespec: object) => refusal("PUT", "/codespecs/c", codespec);

  /** The answer of a server with logins to a caller without a role. */
  async function bodyForCallerWithoutRole(): Promise<string> {
    const guarded = createTokenApi();
    const headers = { authorization: `Bearer ${tokenOf("eve", [])}` };
    const { body } = await guarded.app.inject({ method: "GET", url: "/runs?api-version=1.0", headers });
    await guarded.app.close();
    return body;
  }

  /** The standard error of a command. */
  const stderrOf = async (line: string | string[], options: object = {}): Promise<string> =>
    (await tyger(line, { loginFile, ...options })).stderr;

  /** A buffer of three blocks that `harm` then damages, and what reading it prints. */
  async function readDamaged(harm: (fileOf: (blob: string) => string) => Promise<unknown>): Promise<string> {
    const id = await plane.newBuffer();
    async function* blocks(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("aaaabbbbcccc");
    }
    await writeBuffer(blocks(), blobsOver(fromUrl(plane.urlOf(id, true))), { blockSizeBytes: 4 });
    await harm((blob) => join(plane.dir, "buffers", id, blob.replaceAll("/", "-")));
    return stderrOf(["buffer", "read", plane.urlOf(id, false)]);
  }

  async function rewrite(file: string, change: (bytes: Buffer) => Buffer): Promise<void> {
    const bytes = await readFile(file);
    await rm(file);
    await writeFile(file, change(bytes));
  }

  /** The head of an answer with the names as they are on the wire, which libraries like to lower-case, and its body. */
  async function overSocket(socketPath: string, path: string): Promise<string> {
    const [answer] = (await once(request({ socketPath, path }).end(), "response")) as [IncomingMessage];
    const head = answer.rawHeaders.map((part, i) => (i % 2 === 0 ? `\n${part}: ` : part)).join("");
    return `${head}\n\n${await text(answer)}`;
  }

  const NOW = "2024-01-25T18:20:49Z";
  const EARLIER = "2024-01-25T18:00:00Z";
  const LATER = "2024-01-25T19:00:00Z";

  /** Section of the contract, text, and how the product comes to produce it. */
  const EXACT: [section: string, text: string, produce: () => Promise<string>][] = [
    ["REST 1", "\nRequest-Id: ", () => overSocket(join(folder, "api.sock"), "/metadata")],
    ["REST 1 (data plane)", "\nRequest-Id: ", () => overSocket(plane.socketPath, "/healthcheck")],
    ["REST 2.2", "Unspecified API version", () => refusal("GET", "/runs?x=1")],
    ["REST 2.2", "Unspecified API version", () => refusal("GET", "/runs?api-version=")],
    ["REST 2.2", "Unsupported API version", () => refusal("GET", "/runs?api-version=2.0")],
    [
      "REST 3.4",
      '"bufferAccessTtl":"00:01:00"',
      async () => (await call("POST", "/runs", { job: { codespec: JOB }, bufferAccessTtl: "0.00:01:00" })).body,
    ],
    ["REST 4", '"code":"Forbidden"', () => bodyForCallerWithoutRole()],
    ["REST 4", "not found", () => refusal("GET", "/runs/9")],
    ["REST 4", "was not found", () => refusal("GET", "/buffers/aaaaaaaaaaaaaaaaaaaaaaaaaa")],
    ["REST 4", "was not found", () => refusal("GET", "/codespecs/none")],
    ["REST 4", "Missing discriminator property 'kind'", () => putCodespec({ image: "ubuntu" })],
    [
      "REST 4",
      "Invalid value for the property 'kind'. It can be either 'job' or 'worker'",
      () => putCodespec({ kind: "task", image: "ubuntu" }),
    ],
    ["REST 4", "missing required properties including: 'image'", () => putCodespec({ kind: "job" })],
    ["REST 4", "missing required properties including: 'job'", () => createRun({ tags: { a: "b" } })],
    ["REST 4", "missing required properties including: 'codespec'", () => createRun({ job: { tags: { a: "b" } } })],
    ...["", " --clear-tags"].map((flag): [string, string, () => Promise<string>] => [
      `CLI 4 and 10 (run set${flag})`,
      "the server's ETag does not match the provided ETag",
      async () => {
        await call("POST", "/runs", { job: { codespec: JOB } });
        return stderrOf(`run set 1 --tag a=b --etag 9${flag}`);
      },
    ]),
    ["REST 4", "Buffer names must consist", () => putCodespec({ ...JOB, buffers: { inputs: ["In_put"] } })],
    ...["/runs", "/codespecs"].map((path): [string, string, () => Promise<string>] => [
      `REST 4 (${path})`,
      "Limit must be a non-negative integer",
      () => refusal("GET", `${path}?limit=-1&api-version=1.0`),
    ]),
    [
      "REST 4",
      "Unknown cluster",
      async () => {
        const several = createFakeApi({ clusters: { a: {}, b: {} } });
        const payload = { job: { codespec: JOB }, cluster: "c" };
        const answer = await several.app.inject({ method: "POST", url: "/runs?api-version=1.0", payload });
        await several.app.close();
        return answer.json().error.message;
      },
    ],
    [
      "REST 4 and runs 3",
      "The buffer 'aaaaaaaaaaaaaaaaaaaaaaaaaa' was not found",
      () =>
        createRun({
          job: { codespec: { ...JOB, buffers: { inputs: ["in"] } }, buffers: { in: "aaaaaaaaaaaaaaaaaaaaaaaaaa" } },
        }),
    ],
    ["REST 11", '"capabilities":["Docker","LocalBuffers"]', () => overSocket(join(folder, "api.sock"), "/metadata")],
    [
      "REST 16",
      '"timestamp":',
      async () => {
        let line = "";
        createLog("info", "api", { write: (written) => (line += written) }).info("started");
        return line;
      },
    ],
    [
      "buffers 3.3",
      "x-ms-error-code: BlobNotFound",
      async () => {
        const [, , path = ""] = plane.urlOf(await plane.newBuffer(), false).split(":");
        return overSocket(plane.socketPath, path.replace("?", "/00/000?"));
      },
    ],
    [
      "buffers 3.3",
      "the buffer does not exist",
      () => stderrOf(["buffer", "read", plane.urlOf("aaaaaaaaaaaaaaaaaaaaaaaaaa", false)]),
    ],
    [
      "buffers 3.3 (write)",
      "the buffer does not exist",
      () => stderrOf(["buffer", "write", plane.urlOf("aaaaaaaaaaaaaaaaaaaaaaaaaa", true)], { stdin: "x" }),
    ],
    [
      "buffers 5",
      "MD5 mismatch",
      () =>
        readDamaged((fileOf) =>
          rewrite(fileOf("00/001"), (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from("!")])),
        ),
    ],
    [
      "buffers 4",
      "MD5 mismatch",
      async () => {
        const refusing = createServer((sent, answer) => {
          sent.resume();
          if (sent.method !== "PUT") answer.writeHead(404, { "x-ms-error-code": "BlobNotFound" }).end();
          else if (sent.url?.includes("/00/")) answer.writeHead(400, { "x-ms-error-code": "Md5Mismatch" }).end();
          else answer.writeHead(201).end();
        });
        const { port } = await new Promise<AddressInfo>((resolve) => {
          refusing.listen(0, "127.0.0.1", () => resolve(refusing.address() as AddressInfo));
        });
        try {
          return await stderrOf(["buffer", "write", `http://127.0.0.1:${port}/containers/b?sig=x`], { stdin: "x" });
        } finally {
          refusing.closeAllConnections();
          refusing.close();
        }
      },
    ],
    [
      "buffers 5",
      "hash chain mismatch",
      () =>
        readDamaged(async (fileOf) => {
          const other = await readFile(fileOf("00/002"));
          await rewrite(fileOf("00/001"), () => other);
        }),
    ],
    [
      "buffers 5",
      "the buffer is in a permanently failed state",
      async () => {
        const id = await plane.newBuffer();
        async function* breaking(): AsyncGenerator<Uint8Array> {
          yield Buffer.from("part");
          throw new Error("the input broke");
        }
        await expect(writeBuffer(breaking(), blobsOver(fromUrl(plane.urlOf(id, true))))).rejects.toThrow("broke");
        return stderrOf(["buffer", "read", plane.urlOf(id, false)]);
      },
    ],
    [
      "runs 7.5 (running)",
      " timeout",
      async () => {
        const container = { phase: "Exited", exitCode: 143, startedAt: EARLIER, finishedAt: LATER } as const;
        return ` ${outcomeOf({ replica: { container }, deadlineAt: NOW, nowAt: LATER, timedOut: true }).statusReason}`;
      },
    ],
    [
      "runs 7.5 (queued)",
      " timeout ",
      async () => {
        const replica = { container: { phase: "Unknown" } } as const;
        return ` ${outcomeOf({ replica, deadlineAt: NOW, nowAt: LATER }).statusReason} `;
      },
    ],
    [
      "runs 7.6",
      "Canceled by user",
      async () => {
        const container = { phase: "Exited", exitCode: 143, startedAt: EARLIER, finishedAt: LATER } as const;
        const ending = { replica: { container }, cancelRequestedAt: NOW, deadlineAt: LATER, nowAt: LATER };
        return outcomeOf(ending).statusReason ?? "";
      },
    ],
    ["CLI 1.2", "Request-Id: ", () => stderrOf("run list --log-level trace")],
    ["CLI 1.2 (an error)", "Request-Id: ", () => stderrOf("run show 9 --log-level trace")],
    ["CLI 1.2", " TRC Sending request ", () => stderrOf("run list --log-level trace")],
    ["CLI 1.2", '"message":"Sending request"', () => stderrOf("run list --log-level trace --log-format json")],
    ["CLI 1.2", '"proxy":""', () => stderrOf("run list --log-level trace --log-format json")],
    [
      "CLI 1.4",
      "run 'tyger login' to connect to a Tyger server",
      () => stderrOf("run list", { loginFile: join(folder, "none") }),
    ],
    ["CLI 3.1", "codespec name", () => stderrOf("codespec create Upper --image ubuntu")],
    ["CLI 3.1 (the server)", "codespec name", () => refusal("PUT", "/codespecs/Upper", JOB)],
    ...["pwsh", "pwsh.exe", "powershell.exe"].map((parentName): [string, string, () => Promise<string>] => [
      `CLI 4.2 (${parentName})`,
      "PowerShell I/O redirection may corrupt binary data",
      () => stderrOf(["buffer", "read", plane.urlOf("aaaaaaaaaaaaaaaaaaaaaaaaaa", false)], { parentName }),
    ]),
    ["CLI 10", "Error: NotFound: ", () => stderrOf("run show 9")],
    ["CLI 10", "Limit must be a non-negative integer", () => stderrOf("run list --limit -1")],
    [
      "CLI 10",
      "The buffer 'aaaaaaaaaaaaaaaaaaaaaaaaaa' was not found",
      async () => {
        const file = join(folder, "run.yml");
        await writeFile(file, JSON.stringify({ job: { codespec: { ...JOB, buffers: { inputs: ["in"] } } } }));
        return stderrOf(`run create -f ${file} -b in=aaaaaaaaaaaaaaaaaaaaaaaaaa`);
      },
    ],
  ];

  test.each(EXACT)("%s: %s", async (_section, exact, produce) => {
    expect(await produce()).toContain(exact);
  });

  test("CLI 5.3: an ordinary run never prints 'timed out waiting for logs'", async () => {
    const server = await new FakeServer().start();
    try {
      const file = join(folder, "run.yml");
      const codespec = { ...JOB, buffers: { inputs: ["input"], outputs: ["output"] } };
      await writeFile(file, JSON.stringify({ job: { codespec } }));
      const { code, stderr } = await tyger(["run", "exec", "--logs", "-f", file], { server, stdin: "x" });
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringMatching(/timed out waiting for logs/i) });
    } finally {
      await server.stop();
    }
  });

  describe("exact texts of things that are not built yet", () => {
    /** When one of these fails, the thing is there: move its texts to the list above. */
    const NOT_BUILT: [section: string, texts: string, isMissing: () => Promise<boolean>][] = [
      [
        "REST 4 and runs 7.2",
        "Unknown nodepool, does not have GPUs and cannot satisfy GPU request, <image>: not found",
        async () => !(await call("GET", "/metadata")).json().capabilities.includes("Kubernetes"),
      ],
      [
        "REST 4",
        "Buffer is not soft-deleted, Buffer is already soft-deleted",
        async () => (await call("DELETE", "/buffers/aaaaaaaaaaaaaaaaaaaaaaaaaa")).json().error.code === "InvalidRoute",
      ],
      [
        "CLI 4 (buffers)",
        "the server's ETag does not match the provided ETag",
        async () => (await stderrOf("buffer set 7 --tag a=b")).includes('unknown command "set"'),
      ],
      [
        "CLI 8",
        "Migration <n> complete, This version of Tyger requires the database to be migrated to at least version",
        async () => (await stderrOf("api migration list")).includes('unknown command "api"'),
      ],
      ["CLI 9", "Request handled", async () => (await stderrOf("proxy start")).includes('unknown command "proxy"')],
    ];
    test.each(NOT_BUILT)("%s: %s", async (_section, _texts, isMissing) => {
      expect(await isMissing()).toBe(true);
    });
  });
});
