import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { chmod, mkdtemp, realpath, rm } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { errnoOf, messageOf } from "../../model/errors.ts";
import type { EngineAddress } from "../../docker/engine/engine-address.ts";
import { connectEngine } from "../../docker/engine/engine.ts";
import { poll } from "../../waiting/bounded.ts";
import { mustRun } from "../host/command.ts";

const SCRIPT = 'read -r line < /proof/in; echo "$line" > /proof/out';

/**
 * Sends a word through two named pipes and a container, the way all data of a run goes: an engine in a virtual machine
 * accepts such a container, but no data arrives.
 * @throws Error in one sentence if the word does not come back.
 */
export async function proveNamedPipes(
  { host }: EngineAddress,
  image: string,
  folder: string,
  path: string,
): Promise<void> {
  const engine = connectEngine(host);
  const proof = await realpath(await mkdtemp(join(folder, "proof-")));
  await chmod(proof, 0o711);
  let container: string | undefined;
  let descriptors: number[] = [];
  try {
    const pipes = [join(proof, "in"), join(proof, "out")];
    await mustRun("mkfifo", ["-m", "666", ...pipes], { env: { PATH: path }, timeoutMs: 5000 });
    // A pipe opened for both directions never blocks the opener.
    descriptors = pipes.map((pipe) => openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK));
    const options = {
      Image: image,
      Entrypoint: ["sh", "-c", SCRIPT],
      Labels: { "tyger-proof": "1" },
      // Like a job: unlike Binds, a mount whose source the engine cannot see is refused instead of created.
      HostConfig: { Mounts: [{ Type: "bind" as const, Source: proof, Target: "/proof" }], NetworkMode: "none" },
    };
    container = await engine.create(undefined, options);
    await engine.start(container);
    const word = randomBytes(8).toString("hex");
    writeSync(descriptors[0] ?? -1, `${word}\n`);
    if ((await readLine(descriptors[1] ?? -1, 15_000)) !== word) throw new Error("the data sent did not come back");
  } catch (cause) {
    throw new Error(
      `Named pipes in '${folder}' do not reach containers of the Docker engine at '${host}' (${messageOf(cause)}); set DOCKER_HOST to an engine that runs on this machine, not in a virtual machine, and as root or as you`,
      { cause },
    );
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
    if (container) await engine.remove(container, { force: true }).catch(() => {});
    await rm(proof, { recursive: true, force: true });
  }
}

async function readLine(descriptor: number, withinMs: number): Promise<string> {
  const chunk = Buffer.alloc(256);
  let text = "";
  const look = (): string | undefined => {
    try {
      text += chunk.toString("utf8", 0, readSync(descriptor, chunk));
    } catch (err) {
      if (errnoOf(err) !== "EAGAIN") throw err;
    }
    return text.includes("\n") ? text.trim() : undefined;
  };
  return (await poll(look, { everyMs: 10, withinMs })) ?? text;
}
