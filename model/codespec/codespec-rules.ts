import { bufferParametersOf, type Codespec, type JobCodespec } from "./codespec.ts";
import { CodedError } from "../errors.ts";
import { expandJobCommand, referencesOf } from "./job-command.ts";
import { pipeVariableOf } from "../run/names.ts";

const BUFFER_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** A parameter names a file, and becomes the value of a tag. */
const MAX_BUFFER_NAME_LENGTH = 200;
/** Each answer about a run contains its codespec, and lists contain many. */
const MAX_JSON_BYTES = 1024 * 1024;

const refuse = (message: string): never => {
  throw new CodedError("InvalidInput", message);
};

/**
 * The rules of a codespec that need nothing but itself; only the first violation is reported.
 * @throws CodedError InvalidInput
 */
export function checkCodespec(codespec: Codespec): void {
  for (const name of Object.keys(codespec.env ?? {})) {
    if (name === "" || name.includes("=")) refuse(`The environment variable '${name}' must have a name without '='`);
  }
  if (codespec.kind === "worker") return;
  checkBufferNames(codespec);
  checkSockets(codespec);
  expandJobCommand(codespec, {});
}

/**
 * The limit for a codespec that is given; a stored one can be older and larger, and can still be used.
 * @throws CodedError InvalidInput
 */
export function checkCodespecSize(codespec: Codespec): void {
  const sizeBytes = new TextEncoder().encode(JSON.stringify(codespec)).byteLength;
  if (sizeBytes <= MAX_JSON_BYTES) return;
  refuse(
    `The codespec has ${sizeBytes} bytes as JSON, more than the ${MAX_JSON_BYTES} (1 MiB) that are allowed; pass large data to the job in an input buffer`,
  );
}

function checkBufferNames(codespec: JobCodespec): void {
  const seen = new Set<string>();
  for (const { name } of bufferParametersOf(codespec)) {
    if (name === "") refuse("A buffer name must not be empty");
    if (seen.has(name.toLowerCase())) refuse(`The buffer name '${name}' is given more than once`);
    seen.add(name.toLowerCase());
    if (!BUFFER_NAME.test(name)) {
      refuse(
        `Buffer names must consist of lower case letters, digits and dashes, and start and end with a letter or digit; '${name}' does not`,
      );
    }
    if (name.length > MAX_BUFFER_NAME_LENGTH) {
      refuse(`Buffer names must consist of at most ${MAX_BUFFER_NAME_LENGTH} characters; '${name}' has more`);
    }
  }
}

function checkSockets(codespec: JobCodespec): void {
  const used = new Set<string>();
  const use = (port: number, buffer: string | undefined, known: readonly string[] = [], direction: string): void => {
    if (buffer === undefined) return;
    if (!known.includes(buffer)) {
      refuse(`The buffer '${buffer}' of the socket on port ${port} is not among the ${direction} buffers`);
    }
    if (used.has(buffer)) refuse(`The buffer '${buffer}' is used by more than one socket`);
    used.add(buffer);
  };
  for (const { port, inputBuffer, outputBuffer } of codespec.sockets ?? []) {
    if (port < 1 || port > 65_535) refuse(`The socket port '${port}' is not between 1 and 65535`);
    if (inputBuffer === undefined && outputBuffer === undefined) {
      refuse(`The socket on port ${port} needs an input buffer or an output buffer`);
    }
    use(port, inputBuffer, codespec.buffers?.inputs, "input");
    use(port, outputBuffer, codespec.buffers?.outputs, "output");
  }
  const texts = [...(codespec.command ?? []), ...(codespec.args ?? []), ...Object.values(codespec.env ?? {})];
  const references = new Set(texts.flatMap(referencesOf));
  for (const buffer of used) {
    if (references.has(pipeVariableOf(buffer))) {
      refuse(`The buffer '${buffer}' is used by a socket, so '$(${pipeVariableOf(buffer)})' cannot be referred to`);
    }
  }
}
