import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./eventually.ts";

/** A program with few file descriptors, and our commands to it. */
export interface Starved<T> {
  /** The lines that it has printed so far, parsed. */
  said: T[];
  hog(spare: number): Promise<void>;
  free(): Promise<void>;
  end(): Promise<void>;
}

/** As few as a program of Node can start with, and some. */
const DESCRIPTORS = 64;

/** Runs a program below this folder, which calls `obeyHogging`. */
export function startStarved<T extends object>(program: string, args: readonly string[]): Starved<T> {
  const path = join(import.meta.dirname, program);
  const line = `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`;
  const child = spawn("bash", ["-c", line, process.execPath, path, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const said: T[] = [];
  const done: string[] = [];
  createInterface({ input: child.stdout }).on("line", (text) => {
    const words = JSON.parse(text) as T & { done?: string };
    if (words.done === undefined) said.push(words);
    else done.push(words.done);
  });
  const tell = async (order: string): Promise<void> => {
    const before = done.length;
    child.stdin.write(`${order}\n`);
    await eventually(() => done.length > before);
  };
  return {
    said,
    hog: (spare) => tell(`hog ${spare}`),
    free: () => tell("free"),
    async end() {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    },
  };
}
