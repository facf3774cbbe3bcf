import { CodedError } from "../../model/errors.ts";
import { lastOf } from "../../model/log/merged-log.ts";
import type { LogLine, LogLines } from "../../model/ports/log.ts";
import { isRefused, type Kube } from "../client/kube.ts";
import type { Pod } from "../spec/wire.ts";
import { isUnfinished, logLinesOf } from "./log-lines.ts";

export interface NodeLogQuery {
  follow?: boolean;
  /** RFC 3339, cut to seconds. */
  sinceTime?: string | undefined;
  tailLines?: number;
  /** The container had ended before: nothing is added to a last line without a line feed. */
  isOver?: boolean;
  /** Otherwise a container that is not started, or whose pod is gone, has an empty log. */
  mustExist?: boolean;
}

/** The log of a container as its node has it: the end of a long one, and the last file only. */
export interface NodeLog {
  /** The lines of one request. @throws CodedError Unavailable; KubeRefusal with `mustExist` */
  lines(query: NodeLogQuery): LogLines;
  /** The last `count` lines; fewer only if the node has no more. */
  lastLines(count: number, isOver: boolean): Promise<readonly LogLine[]>;
  state(): Promise<"running" | "ended" | "gone">;
}

export function openNodeLog(kube: Kube, pod: Pod, container: string, signal: AbortSignal): NodeLog {
  const { name = "", uid } = pod.metadata ?? {};

  async function* lines({ follow = false, isOver = false, mustExist = false, ...options }: NodeLogQuery): LogLines {
    try {
      const body = await kube.podLog(name, { container, follow, ...options }, signal);
      for await (const batch of logLinesOf(body as AsyncIterable<Buffer>)) {
        const last = batch.at(-1);
        // The next request gives all of it.
        const whole = !isOver && last && isUnfinished(last) ? batch.slice(0, -1) : batch;
        if (whole.length > 0) yield whole;
      }
    } catch (err) {
      if (isRefused(err, 400) || isRefused(err, 404)) {
        if (mustExist) throw err;
        return;
      }
      throw err instanceof CodedError || signal.aborted ? err : kube.unavailable(err);
    }
  }

  return {
    lines,

    async lastLines(count, isOver) {
      const last: LogLine[] = [];
      // The node counts pieces of long lines, and can begin in the middle of one.
      for await (const batch of lines({ tailLines: count + 1, isOver })) last.push(...batch);
      return last.length > count ? last.slice(-count) : lastOf(count, lines({ isOver }));
    },

    async state() {
      const now = await kube.findPod(name);
      if (!now || now.metadata?.uid !== uid) return "gone";
      return hasEnded(now, container) ? "ended" : "running";
    },
  };
}

/** A container of which the cluster still says that it runs can have ended a moment ago, and the other way round never. */
export function hasEnded({ status }: Pod, container: string): boolean {
  const found = status?.containerStatuses?.find(({ name }) => name === container);
  return found?.state?.running === undefined;
}
