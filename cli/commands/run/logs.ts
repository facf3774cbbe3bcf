import { parseSinceTime } from "../../read/since-time.ts";
import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { failureOf } from "../../terminal/pipe-reader.ts";
import { copyLogs, reopening } from "../../run/run-logs.ts";

export default command({
  meta: { name: "logs", description: "Print what a run's containers wrote to stdout and stderr" },
  examples: ["tyger run logs 7", "tyger run logs 7 --follow --timestamps", "tyger run logs 7 --tail 20"],
  args: {
    id: { type: "positional", required: true, suggest: "run", description: "Run id" },
    follow: { type: "boolean", alias: "f", description: "Keep streaming until the run ends" },
    since: { type: "string", alias: "s", valueHint: "time", description: "Only lines after this time" },
    tail: { type: "int", default: -1, description: "Only this many lines from the end" },
    timestamps: { type: "boolean", description: "Start each line with its timestamp" },
  },
  async run(context) {
    const { args, host, log } = context;
    const options = {
      follow: args.follow,
      since: args.since === undefined ? undefined : parseSinceTime(args.since, new Date()),
      tailLines: args.tail === -1 ? undefined : args.tail,
      timestamps: args.timestamps,
      signal: failureOf(host.stdout),
    };
    const { runs } = await connect(context);
    await copyLogs(runs.logBytes(args.id, { ...options, ...reopening(log) }), host.stdout);
  },
});
