import { writeSync } from "node:fs";
import pkg from "../package.json" with { type: "json" };

// From here on SIGUSR1 ends a command that does not handle it, as all signals do. It would start the runtime's debugger;
// a listener that is gone again takes that away. The runtime's own --disable-sigusr1 blocks the signal for good instead.
const nothing = (): void => {};
process.on("SIGUSR1", nothing).off("SIGUSR1", nothing);

/** The `tyger` command. Every call pays for what is imported here, so only what all of them need is. */
const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-v")) {
  try {
    writeSync(1, `tyger version ${pkg.version}\n`);
  } catch {
    process.exitCode = 1;
  }
} else {
  const { start } = await import("./start.ts");
  await start(argv, process.env, pkg.version);
}
