import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testPumps } from "./pump-suite.ts";

/** Jobs that open an input more than once. Each pump has many pipes, so that 500 rounds need only a few processes. */
testPumps("store", (suite) => {
  const PIPES = 50;
  const JOBS_AT_ONCE = 8;

  const linesOf = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, (_, line) => `${line}\n`).join(""));
  const LARGE = linesOf(200_000);
  /** All of it is in the pipe, and its end is known, before most jobs open it. */
  const SMALL = linesOf(500);

  /** A pause of the job in seconds; none in a third of the rounds. */
  const pause = (): string => (Math.random() < 1 / 3 ? ":" : `sleep ${(Math.random() * 0.02).toFixed(4)}`);

  interface Kind {
    name: string;
    content: Buffer;
    script: (input: string) => string;
    expected: string;
  }

  const cksumOf = (content: Buffer): string => {
    const [sum, size] = execFileSync("cksum", { input: content }).toString().split(" ");
    return `${sum} ${size?.trim()}`;
  };

  const firstLine = (content: Buffer): Omit<Kind, "name"> => ({
    content,
    script: (input) => `${pause()}; read -r first < ${input}; ${pause()}; wc -l < ${input}`,
    expected: String(content.toString().split("\n").length - 2),
  });
  // dd takes no more than it passes on, whatever the size of its reads.
  const inFourParts = (content: Buffer): Omit<Kind, "name"> => ({
    content,
    script: (input) => {
      const part = (): string =>
        `dd bs=${1 + Math.floor(Math.random() * 9000)} count=3 status=none < ${input}; ${pause()}`;
      return `{ ${pause()}; ${part()}; ${part()}; cat ${input}; ${pause()}; cat ${input}; } | cksum`;
    },
    expected: cksumOf(content),
  });

  test.each<[Kind, number]>([
    [{ name: "a line and then the rest, of 200,000 lines", ...firstLine(LARGE) }, 400],
    [{ name: "a line and then the rest, of a few KiB", ...firstLine(SMALL) }, 100],
    [{ name: "four parts, of 200,000 lines", ...inFourParts(LARGE) }, 50],
    [{ name: "four parts, of a few KiB", ...inFourParts(SMALL) }, 50],
  ])(
    "each byte is read once, in order, and no open hangs: $name",
    async ({ content, script, expected }, rounds) => {
      const bufferId = await suite.world.fill(content);
      for (let left = rounds; left > 0; left -= PIPES) {
        expect(await playRounds(bufferId, script)).toEqual(Array.from({ length: PIPES }, () => expected));
      }
    },
    90_000,
  );

  /** The outputs of as many jobs as a pump has pipes. */
  async function playRounds(bufferId: string, script: Kind["script"]): Promise<string[]> {
    const names = Array.from({ length: PIPES }, (_, round) => `p${round}`);
    const outputs: Record<string, string> = {};
    for (const name of names) outputs[`${name}-out`] = await suite.world.plane.newBuffer();
    const pump = await suite.start({ inputs: Object.fromEntries(names.map((name) => [name, bufferId])), outputs });
    const jobs = names.map((name) => `(${script(`${name}.pipe`)}) > ${name}-out.pipe`);
    // One shell for all: xargs starts a job as soon as another has ended.
    writeFileSync(join(pump.folder, "jobs"), jobs.map((line) => `${line}\0`).join(""));
    const { code, result } = await pump.runJob(`xargs -0 -n1 -P${JOBS_AT_ONCE} sh -c < ../jobs`);
    expect([code, result]).toEqual([0, { status: "Succeeded" }]);
    await pump.exit;
    const contents = await Promise.all(Object.values(outputs).map((id) => suite.world.contentOf(id)));
    return contents.map((content) => content.toString().trim().replaceAll(/\s+/g, " "));
  }
});
