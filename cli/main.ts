import { writeSync } from "node:fs";
import pkg from "../package.json" with { type: "json" };

/** The `tyger` command. What is loaded here is loaded by every call: only what every call needs. */
const argv = process.argv.slice(2);
if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-v")) {
  try {
    writeSync(1, `tyger version ${pkg.version}\n`);
  } catch {
    process.exitCode = 1;
  }
} else {
  const [{ readCliConfig }, { processHost, flushed }, { runProgram }] = await Promise.all([
    import("../config/cli.ts"),
    import("./host.ts"),
    import("./program.ts"),
  ]);
  const host = processHost(readCliConfig(process.env, process.getuid?.() ?? 0), (exitCode) => process.exit(exitCode));
  const exitCode = await runProgram(argv, host, pkg.version);
  await flushed(host, exitCode);
  // Kept-alive connections and an open stdin are no reason to linger.
  process.exit(exitCode);
}
