import { CODESPEC_REFERENCE } from "../model/codespec/codespec.ts";
import type { CallOptions, Http } from "./http/http.ts";
import { type List, type ListOptions, listOf } from "./pages.ts";
import type { CodespecVersion, NewCodespec } from "./types.ts";

export interface Codespecs {
  /** Stores a codespec; the latest version comes back if it is the same. */
  create(name: string, codespec: NewCodespec, options?: CallOptions): Promise<CodespecVersion>;
  /** The latest version unless one is given. */
  show(name: string, options?: CallOptions & { version?: number | string | undefined }): Promise<CodespecVersion>;
  /** The codespec that a run refers to: `name` or `name/versions/N`. @throws Error when `reference` has neither form */
  find(reference: string, options?: CallOptions): Promise<CodespecVersion>;
  /** The latest version of each. */
  list(
    options?: ListOptions & { /** Only names that start with this. */ prefix?: string | undefined },
  ): List<CodespecVersion>;
}

const pathOf = (name: string, version?: number | string): string =>
  `/codespecs/${encodeURIComponent(name)}${version === undefined ? "" : `/versions/${encodeURIComponent(version)}`}`;

/** The codespecs of a server. */
export const codespecsOver = (http: Http): Codespecs => ({
  async create(name, body, { signal } = {}) {
    const { value, headers } = await http.json<CodespecVersion>({ method: "PUT", path: pathOf(name), body, signal });
    const version = Number(headers.location?.split("/").at(-1) ?? Number.NaN);
    return Number.isNaN(version) ? value : { ...value, version };
  },

  async show(name, { version, signal } = {}) {
    return (await http.json<CodespecVersion>({ method: "GET", path: pathOf(name, version), signal })).value;
  },

  async find(reference, { signal } = {}) {
    const { name, version } = CODESPEC_REFERENCE.exec(reference)?.groups ?? {};
    if (name === undefined) throw new Error(`the codespec name '${reference}' is not valid`);
    return (await http.json<CodespecVersion>({ method: "GET", path: pathOf(name, version), signal })).value;
  },

  list({ prefix, ...options } = {}) {
    return listOf<CodespecVersion>(http, "/codespecs", { prefix }, options);
  },
});
