import type { CallOptions, Http } from "./http/http.ts";
import type { NewBuffer, TygerBuffer } from "./types.ts";

export interface AccessOptions extends CallOptions {
  writeable?: boolean | undefined;
  /** Life of the URL, a TimeSpan from half a minute to an hour; the server's default unless given. */
  ttl?: string | undefined;
}

export interface Buffers {
  create(buffer?: NewBuffer, options?: CallOptions): Promise<TygerBuffer>;
  show(id: string, options?: CallOptions & { softDeleted?: boolean | undefined }): Promise<TygerBuffer>;
  /** A signed URL; anyone who has it can use it until it expires. */
  access(id: string, options?: AccessOptions): Promise<string>;
}

const pathOf = (id: string): string => `/buffers/${encodeURIComponent(id)}`;

/** The buffers of a server, without what moves their bytes. */
export function buffersOver(http: Http): Buffers {
  return {
    async create(buffer = {}, { signal } = {}) {
      return (await http.json<TygerBuffer>({ method: "POST", path: "/buffers", body: buffer, signal })).value;
    },

    async show(id, { softDeleted, signal } = {}) {
      const query = { softDeleted: softDeleted || undefined };
      return (await http.json<TygerBuffer>({ method: "GET", path: pathOf(id), query, signal })).value;
    },

    async access(id, { writeable = false, ttl, signal } = {}) {
      const path = `${pathOf(id)}/access`;
      const query = { ttl, writeable };
      const { value } = await http.json<{ uri?: unknown }>({ method: "POST", path, query, isRepeatable: true, signal });
      if (typeof value.uri !== "string") throw new Error(`the server gave no access URL for the buffer '${id}'`);
      return value.uri;
    },
  };
}
