import { CODESPEC_REFERENCE } from "../../model/codespec/codespec.ts";

/** The path of a codespec on the server, of its latest version unless one is given. */
export const codespecPath = (name: string, version?: string): string =>
  `/codespecs/${encodeURIComponent(name)}${version === undefined ? "" : `/versions/${encodeURIComponent(version)}`}`;

/** The path of what `name` or `name/versions/N` refers to. @throws Error when it is of neither form */
export function referencePath(reference: string): string {
  const { name, version } = CODESPEC_REFERENCE.exec(reference)?.groups ?? {};
  if (name === undefined) throw new Error(`the codespec name '${reference}' is not valid`);
  return codespecPath(name, version);
}
