import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A pooler between clients and a database, as PgBouncer is in transaction mode. */
export interface TransactionPooler {
  url: string;
  /** How many transactions each of its connections to the database has had. */
  transactions: number[];
  close(): Promise<void>;
}

/** The settings of a session that PgBouncer knows without configuration. */
const KNOWN = ["user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone"];
const SIZE = 3;
const PROTOCOL = 196_608;
const SSL_REQUEST = 80_877_103;

/**
 * Hands each transaction to the connection that was idle for longest, so that two in a row never have the same one: state of a
 * session, such as a prepared statement, a lock or a subscription, is not there in the next. The settings of a client's session
 * are lost as well: its transactions have those of the database.
 */
export async function startPooler(databaseUrl: string): Promise<TransactionPooler> {
  const idle: Backend[] = [];
  const waiting: (() => void)[] = [];
  const backends: Backend[] = [];
  const open = async (): Promise<Backend> => {
    const backend = await connectBackend(new URL(databaseUrl));
    backends.push(backend);
    return backend;
  };
  for (let place = 0; place < SIZE; place += 1) idle.push(await open());
  const give = (backend: Backend): void => {
    idle.push(backend);
    while (idle.length > 0 && waiting.length > 0) waiting.shift()?.();
  };
  const replace = (): void => void open().then(give, () => undefined);

  const clients = new Set<Socket>();
  // Messages are small, and the kernel would wait for more of them.
  const server = createServer({ noDelay: true }, (client) => {
    clients.add(client);
    client.on("close", () => clients.delete(client));
    client.on("error", () => client.destroy());
    void serve(client);
  });

  async function serve(client: Socket): Promise<void> {
    let linked: Backend | undefined;
    let unanswered = 0;
    let isWaiting = false;
    const sent: Buffer[] = [];
    const forward = (): void => {
      if (sent.length === 0 || client.destroyed) return;
      if (linked === undefined) {
        const backend = idle.shift();
        if (backend === undefined) {
          if (!isWaiting) waiting.push(() => ((isWaiting = false), forward()));
          isWaiting = true;
          return;
        }
        linked = backend;
        backend.transactions += 1;
        backend.received = (frame) => {
          client.write(frame);
          if (frame[0] !== READY) return;
          unanswered -= 1;
          // Idle, and nothing more is under way: the transaction has ended.
          if (frame[5] !== IDLE || unanswered > 0) return;
          linked = undefined;
          // Such as a notification, which no client waits for now.
          backend.received = () => {};
          give(backend);
        };
      }
      for (const frame of sent.splice(0)) {
        if (frame[0] === QUERY || frame[0] === SYNC) unanswered += 1;
        linked.socket.write(frame);
      }
    };
    client.on("close", () => {
      // As PgBouncer does: a session in the middle of a transaction is of no use to another client.
      if (linked === undefined) return;
      linked.socket.destroy();
      replace();
    });
    let isStarted = false;
    const starts = framesIn((frame) => {
      if (isStarted) {
        if (frame[0] === TERMINATE) return void client.end();
        sent.push(frame);
        return forward();
      }
      if (frame.readInt32BE(4) === SSL_REQUEST) return void client.write("N");
      const names = frame.subarray(8).toString().split("\0");
      const unknown = names.find((name, place) => place % 2 === 0 && name !== "" && !KNOWN.includes(name));
      if (unknown !== undefined) return void client.end(refusalOf(`unsupported startup parameter: ${unknown}`));
      isStarted = true;
      starts.hasTypes = true;
      const [first] = backends;
      client.write(
        Buffer.concat([message("R", int32(0)), ...(first?.parameters ?? []), message("Z", Buffer.from("I"))]),
      );
    });
    client.on("data", (chunk) => starts.add(chunk));
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    get transactions() {
      return backends.map(({ transactions }) => transactions);
    },
    async close() {
      for (const client of clients) client.destroy();
      for (const { socket } of backends) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const [READY, IDLE, QUERY, SYNC, TERMINATE] = [...Buffer.from("ZIQSX")];

interface Backend {
  socket: Socket;
  /** The messages with which the server reports its settings. */
  parameters: Buffer[];
  received: (frame: Buffer) => void;
  transactions: number;
}

async function connectBackend(url: URL): Promise<Backend> {
  const socket = connect({ port: Number(url.port), host: url.hostname, noDelay: true });
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  const settings = ["user", user, "database", url.pathname.slice(1)].map((text) => `${text}\0`).join("");
  await once(socket, "connect");
  const start = Buffer.concat([int32(PROTOCOL), Buffer.from(`${settings}\0`)]);
  socket.write(Buffer.concat([int32(start.length + 4), start]));
  const ready = Promise.withResolvers<void>();
  const login = scram(password ?? "");
  const backend: Backend = {
    socket,
    parameters: [],
    transactions: 0,
    received(frame) {
      const type = String.fromCharCode(frame[0] ?? 0);
      if (type === "S") backend.parameters.push(frame);
      if (type === "E") ready.reject(new Error(frame.subarray(5).toString()));
      if (type === "R") {
        const answer = login(frame.readInt32BE(5), frame.subarray(9).toString());
        if (answer) socket.write(message("p", answer));
      }
      if (type === "Z") ready.resolve();
    },
  };
  const frames = framesIn((frame) => backend.received(frame));
  frames.hasTypes = true;
  socket.on("data", (chunk) => frames.add(chunk));
  socket.on("error", (err) => ready.reject(err));
  await ready.promise;
  return backend;
}

/** Cuts a stream into messages of the protocol; all but the first of a client have a letter in front. */
function framesIn(found: (frame: Buffer) => void): { hasTypes: boolean; add(chunk: Buffer): void } {
  let rest = Buffer.alloc(0);
  const frames = {
    hasTypes: false,
    add(chunk: Buffer): void {
      rest = Buffer.concat([rest, chunk]);
      for (;;) {
        const at = frames.hasTypes ? 1 : 0;
        if (rest.length < at + 4) return;
        const length = at + rest.readInt32BE(at);
        if (rest.length < length) return;
        const frame = rest.subarray(0, length);
        rest = rest.subarray(length);
        found(frame);
      }
    },
  };
  return frames;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

const message = (type: string, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);

const refusalOf = (text: string): Buffer => message("E", Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${text}\0\0`));

/** The client's side of SCRAM-SHA-256. @see RFC 5802 */
function scram(password: string): (step: number, text: string) => Buffer | undefined {
  const first = `n=,r=${randomBytes(18).toString("base64")}`;
  const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
  return (step, text) => {
    if (step === 10)
      return Buffer.concat([Buffer.from("SCRAM-SHA-256\0"), int32(first.length + 3), Buffer.from(`n,,${first}`)]);
    if (step !== 11) return undefined;
    const { r = "", s = "", i = "" } = Object.fromEntries(text.split(",").map((part) => [part[0], part.slice(2)]));
    const salted = pbkdf2Sync(password, Buffer.from(s, "base64"), Number(i), 32, "sha256");
    const key = hmac(salted, "Client Key");
    const signature = hmac(createHash("sha256").update(key).digest(), `${first},${text},c=biws,r=${r}`);
    const proof = Buffer.from(key.map((byte, place) => byte ^ (signature[place] ?? 0)));
    return Buffer.from(`c=biws,r=${r},p=${proof.toString("base64")}`);
  };
}
