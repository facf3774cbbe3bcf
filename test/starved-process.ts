import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { errnoOf } from "../model/errors.ts";

/**
 * For programs that a test runs with few descriptors: obeys the lines on standard input. `hog N` leaves this process N
 * descriptors, `free` gives them back; each is confirmed by a line.
 */
export function obeyHogging(): void {
  const hogged: number[] = [];
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [, spare] = /^hog (\d+)$/.exec(line) ?? [];
    if (spare !== undefined) hogAll(hogged, Number(spare));
    else for (const fd of hogged.splice(0)) closeSync(fd);
    say({ done: line });
  });
}

export const say = (words: object): void => void process.stdout.write(`${JSON.stringify(words)}\n`);

function hogAll(hogged: number[], spare: number): void {
  try {
    for (;;) hogged.push(openSync("/dev/null", "r"));
  } catch (err) {
    if (errnoOf(err) !== "EMFILE") throw err;
  }
  for (const fd of hogged.splice(-spare, spare)) closeSync(fd);
}
