import type { NewCodespec } from "../../../client/types.ts";
import { stdinOf } from "../../buffer/buffer-transfer.ts";
import { CODESPEC_NAME } from "../../../model/codespec/codespec.ts";
import { canonicalQuantity } from "../../../model/codespec/quantity.ts";
import { connect } from "../../server/connect.ts";
import { command } from "../../line/command.ts";
import { writeAll } from "../../terminal/host.ts";
import { type CodespecFile, readCodespecFile } from "../../read/spec-file.ts";

/** Checks a Kubernetes quantity but sends it as written. */
function quantity(text: string): string {
  canonicalQuantity(text);
  return text;
}

const args = {
  name: { type: "positional", required: false, description: "Name, unless the file sets it" },
  file: {
    type: "string",
    alias: "f",
    valueHint: "path",
    suggest: "file",
    isOnce: true,
    description: "YAML file with the codespec, - for stdin; flags override it",
  },
  image: { type: "string", description: "Container image" },
  kind: {
    type: "choice",
    choices: ["job", "worker"],
    alias: "k",
    default: "job",
    description: "Kind, unless the file sets it",
  },
  "max-replicas": { type: "int", alias: "r", description: "Maximum replicas" },
  input: { type: "list", alias: "i", description: "Input buffer parameters" },
  output: { type: "list", alias: "o", description: "Output buffer parameters" },
  env: { type: "map", alias: "e", description: "Environment variables" },
  endpoint: { type: "map", separator: "always", valueHint: "name=port", description: "Endpoints of a worker" },
  command: { type: "boolean", description: "Use the words after -- as the command, not as its arguments" },
  identity: { type: "string", description: "Workload identity" },
  "cpu-request": { type: "string", valueHint: "quantity", description: "CPU cores to reserve", parse: quantity },
  "memory-request": { type: "string", valueHint: "quantity", description: "Memory to reserve", parse: quantity },
  "cpu-limit": { type: "string", valueHint: "quantity", description: "CPU limit", parse: quantity },
  "memory-limit": { type: "string", valueHint: "quantity", description: "Memory limit", parse: quantity },
  gpu: { type: "string", valueHint: "quantity", description: "Number of GPUs", parse: quantity },
  shm: { type: "string", valueHint: "quantity", description: "Size of /dev/shm", parse: quantity },
} as const;

type Flags = Parameters<Parameters<typeof command<typeof args>>[0]["run"]>[0]["args"];

export default command({
  meta: { name: "create", description: "Create a codespec, or a new version of one, and print the version" },
  examples: [
    "tyger codespec create -f codespec.yml",
    "tyger codespec create upper --image ubuntu -i input -o output --command -- bash -c 'tr a-z A-Z < $INPUT_PIPE > $OUTPUT_PIPE'",
  ],
  args,
  passThrough: "Arguments of the container, or with --command its command",
  async run(context) {
    const { host, rest } = context;
    const file = context.args.file === undefined ? {} : await readCodespecFile(context.args.file, () => stdinOf(host));
    const name = context.args.name ?? file.name;
    if (!name) throw new Error("a codespec name is required, as an argument or in the file");
    if (!CODESPEC_NAME.test(name)) {
      throw new Error(`the codespec name '${name}' may contain only lowercase letters, digits, '-', '.', and '_'`);
    }
    const codespec = merged({ ...file, name }, context.args, rest);
    checkKind(codespec);
    const { codespecs } = await connect(context);
    const { version } = await codespecs.create(name, codespec as NewCodespec);
    await writeAll(host.stdout, `${version}\n`);
  },
});

/** Flags replace the file's fields one by one; maps and lists are replaced whole. */
function merged(file: CodespecFile, flags: Flags, rest: readonly string[]): CodespecFile {
  const codespec: CodespecFile = { ...file, kind: file.kind ?? flags.kind, image: flags.image ?? file.image ?? "" };
  if (flags["max-replicas"] !== undefined) codespec.maxReplicas = flags["max-replicas"];
  if (flags.input || flags.output) {
    codespec.buffers = {
      ...file.buffers,
      ...(flags.input && { inputs: flags.input }),
      ...(flags.output && { outputs: flags.output }),
    };
  }
  if (flags.env) codespec.env = flags.env;
  if (flags.endpoint) codespec.endpoints = portsOf(flags.endpoint);
  if (flags.identity !== undefined) codespec.identity = flags.identity;
  if (rest.length > 0) codespec[flags.command ? "command" : "args"] = [...rest];
  const resources = resourcesOf(file.resources ?? {}, flags);
  if (Object.keys(resources).length > 0) codespec.resources = resources;
  return codespec;
}

function resourcesOf(
  file: NonNullable<CodespecFile["resources"]>,
  flags: Flags,
): NonNullable<CodespecFile["resources"]> {
  const requests = { ...file.requests, ...given({ cpu: flags["cpu-request"], memory: flags["memory-request"] }) };
  const limits = { ...file.limits, ...given({ cpu: flags["cpu-limit"], memory: flags["memory-limit"] }) };
  return {
    ...file,
    ...(Object.keys(requests).length > 0 && { requests }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...given({ gpu: flags.gpu, shm: flags.shm }),
  };
}

const given = (members: Readonly<Record<string, string | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(members).filter((entry): entry is [string, string] => entry[1] !== undefined));

const MAX_PORT = 65_535;

function portsOf(endpoints: Readonly<Record<string, string>>): Record<string, number> {
  const entries = Object.entries(endpoints).map(([name, port]): [string, number] => {
    const number = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0;
    if (number < 1 || number > MAX_PORT) {
      throw new Error(`the port of the endpoint '${name}' must be a number from 1 to ${MAX_PORT}, not '${port}'`);
    }
    return [name, number];
  });
  return Object.fromEntries(entries);
}

function checkKind({ kind, endpoints, buffers, sockets }: CodespecFile): void {
  if (kind !== "job" && kind !== "worker") throw new Error(`the codespec kind must be job or worker, not '${kind}'`);
  if (kind === "job" && Object.keys(endpoints ?? {}).length > 0)
    throw new Error("a job codespec cannot have endpoints");
  const hasBuffers = (buffers?.inputs?.length ?? 0) + (buffers?.outputs?.length ?? 0) > 0 || sockets !== undefined;
  if (kind === "worker" && hasBuffers) throw new Error("a worker codespec cannot have buffers");
}
