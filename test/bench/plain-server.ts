import { createReadStream, createWriteStream } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** `node plain-server.ts FOLDER SOCKET`: a server that only stores what is PUT and serves it again. */
const [folder = "", socket = ""] = process.argv.slice(2);
async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const file = join(folder, (req.url ?? "").replaceAll("/", "_"));
  if (req.method !== "PUT") return pipeline(createReadStream(file), res);
  await pipeline(req, createWriteStream(file, { flush: true }));
  res.end();
}

createServer((req, res) => {
  answer(req, res).catch(() => res.destroy());
}).listen(socket, () => process.stdout.write("ready\n"));
