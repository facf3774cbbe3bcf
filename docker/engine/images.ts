import type { Readable } from "node:stream";
import { QUICK_MS, SLOW_MS } from "./containers.ts";
import { EngineRefusal, type Call, type Caller } from "./engine-call.ts";
import { jsonLinesOf } from "./json-lines.ts";

/** One step of a pull, of one layer or of the whole image. */
export interface PullStep {
  status: string;
  layer?: string | undefined;
}

/** Calls about images. @throws CodedError Unavailable, EngineRefusal */
export interface Images {
  hasImage(image: string): Promise<boolean>;
  /**
   * Pulls an image, `latest` unless it has a tag or digest, for as long as it takes or until `signal` is aborted.
   * @throws EngineRefusal with the reason of the engine or the registry
   */
  pullImage(image: string, onStep: (step: PullStep) => void, signal?: AbortSignal): Promise<void>;
  /** Creates the image `image:latest` from the files in a tar archive. */
  importImage(image: string, archive: Readable, changes: readonly string[]): Promise<void>;
}

/** Until the first progress of a pull: a registry can be slow. */
const PULL_BEGINS_MS = 180_000;

export function imagesOf({ ask, open, unavailable }: Caller): Images {
  /** Passes on the progress. Once it has begun, the engine answers 200 and reports a failure in the stream. */
  async function create(call: Omit<Call, "method" | "path">, onStep: (step: PullStep) => void, signal?: AbortSignal) {
    const answer = await open({ method: "POST", path: "/images/create", ...call }, signal);
    try {
      for await (const line of jsonLinesOf(answer)) {
        const { error, status, id } = line as Partial<Record<string, string>>;
        if (error !== undefined) throw new EngineRefusal(200, error);
        if (status !== undefined) onStep({ status, layer: id });
      }
    } catch (err) {
      throw err instanceof EngineRefusal ? err : unavailable(err);
    }
  }

  return {
    async hasImage(image) {
      // An empty or dotted segment would address another resource.
      if (!/^[a-zA-Z0-9][^\s?#]*$/.test(image) || image.split("/").some((part) => /^\.{0,2}$/.test(part))) return false;
      const path = `/images/${image.split("/").map(encodeURIComponent).join("/")}/json`;
      try {
        await ask({ method: "GET", path, withinMs: QUICK_MS });
        return true;
      } catch (err) {
        if (err instanceof EngineRefusal && (err.statusCode === 400 || err.statusCode === 404)) return false;
        throw err;
      }
    },

    pullImage(image, onStep, signal) {
      const tag = /[:@][^/]*$/.test(image) ? undefined : "latest";
      return create({ query: { fromImage: image, tag }, withinMs: PULL_BEGINS_MS }, onStep, signal);
    },

    importImage(image, archive, changes) {
      const query = { fromSrc: "-", repo: image, tag: "latest", changes };
      return create({ query, archive, withinMs: SLOW_MS }, () => {});
    },
  };
}
