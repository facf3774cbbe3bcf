import { CODESPEC } from "../../contract/fields/codespec-fields.ts";
import type { FileOf } from "../../contract/fields/message-types.ts";
import { RUN } from "../../contract/fields/run-fields.ts";
import { fileShapeOf } from "./file-shape.ts";
import { readYamlFile, type OpenStdin } from "./yaml-file.ts";

/** A codespec file or an inline codespec; the server checks the rest. */
export type CodespecFile = FileOf<typeof CODESPEC>;
export type RunFile = FileOf<typeof RUN>;
export type TargetFile = NonNullable<RunFile["job"]>;

/** @throws Error that names file, line and field. */
export async function readCodespecFile(path: string, stdin?: OpenStdin): Promise<CodespecFile> {
  const {
    version: _version,
    createdAt: _createdAt,
    ...codespec
  } = await readYamlFile(path, fileShapeOf(CODESPEC), stdin);
  return codespec;
}

/** @throws Error that names file, line and field. */
export const readRunFile = (path: string, stdin?: OpenStdin): Promise<RunFile> =>
  readYamlFile(path, fileShapeOf(RUN), stdin);
