import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  ComputeReader,
  ComputeWatcher,
  ComputeWriter,
  LaunchClaims,
  RunTrace,
  SeenReplica,
} from "../../model/ports/compute.ts";
import { CodedError } from "../../model/errors.ts";
import { hasEnded, isSettled, later, type ReplicaState } from "../../model/run/lifecycle.ts";
import { isSameRun } from "../../model/run/identity.ts";
import type { LogLine, LogQuery } from "../../model/ports/log.ts";
import { indexesOf } from "../../model/run/replicas.ts";
import type { RunRecord } from "../../model/run/run.ts";
import { eventually } from "../eventually.ts";

/** The behavior of a test's job. */
export interface JobScript {
  /** Written at once, one by one. */
  lines?: string[];
  forMs?: number;
  exitCode?: number;
  /** Of single replicas, by their index. */
  exitCodes?: Record<number, number>;
  /** How long those run; as long as the others without it. The fake alone. */
  failsAfterMs?: number;
  /** How many replicas the run has. */
  replicas?: number;
  /** Ends only by force. */
  ignoresStop?: boolean;
  /** Names a program that is not there. */
  isBroken?: boolean;
  hasBuffers?: boolean;
}

/** The script for bash that does this. */
export function scriptOf({ lines = [], forMs, exitCode = 0, exitCodes = {}, ignoresStop }: JobScript): string {
  return [
    ...(ignoresStop ? ["trap '' TERM"] : ["trap 'exit 143' TERM"]),
    ...lines.map((line) => `echo '${line}'`),
    ...(forMs === undefined ? [] : [`sleep ${forMs / 1000} & wait $!`]),
    // The host name of a replica ends with its index.
    ...Object.entries(exitCodes).map(([replica, code]) => `[ "\${HOSTNAME##*-}" = ${replica} ] && exit ${code}`),
    `exit ${exitCode}`,
  ].join("\n");
}

export interface ComputeUnderTest {
  reader: ComputeReader;
  writer: ComputeWriter;
  watcher: ComputeWatcher;
  claims: LaunchClaims;
  /** A writer of the same installation in another worker. */
  anotherWriter(): ComputeWriter;
  /** A fresh run whose job does this. */
  run(script: JobScript): RunRecord;
  /** How often the job of the run was begun. */
  begins(run: RunRecord): number | Promise<number>;
  /** Where the engine differs from the others by its nature. */
  differs?: {
    /** It dates starts and ends in whole seconds. */
    datesAreSeconds?: true;
    /** It starts containers after the launch: one that cannot be started is seen as ended. */
    startsLater?: true;
  };
  close(): Promise<void>;
}

/** The tests of every Compute, including the fake. */
export function describeCompute(name: string, open: () => Promise<ComputeUnderTest>): void {
  describe(`compute: ${name}`, () => {
    let compute: ComputeUnderTest;
    const seen = new Map<number, ReplicaState>();
    /** Of runs with several, by run and index. */
    const replicas = new Map<string, SeenReplica>();
    const stopWatching = new AbortController();
    let watching: Promise<void>;

    beforeAll(async () => {
      compute = await open();
      watching = compute.watcher.watch(async ({ id }, replica) => {
        const { index, state } = replica;
        replicas.set(`${id} ${index}`, replica);
        if (index > 0) return;
        seen.set(id, later(seen.get(id) ?? { container: { phase: "Unknown" } }, state));
      }, stopWatching.signal);
    });
    afterAll(async () => {
      stopWatching.abort();
      await watching;
      await compute.close();
    });

    const hasBegun = async (run: RunRecord, replica: number): Promise<boolean> => {
      const { phase } = (await compute.writer.observe(run, replica)).container;
      return phase !== "Unknown" && phase !== "Created";
    };
    const launched = async (script: JobScript): Promise<RunRecord> => {
      const run = compute.run(script);
      await compute.writer.provision(run);
      const replicas = indexesOf(run.replicaCount);
      for (const replica of replicas) await compute.writer.launch(run, replica);
      if (compute.differs?.startsLater) for (const replica of replicas) await eventually(() => hasBegun(run, replica));
      return run;
    };
    const settled = (run: RunRecord): Promise<ReplicaState> =>
      eventually(() => {
        const state = seen.get(run.id);
        return state && isSettled(state) ? state : undefined;
      });
    const logOf = async (run: RunRecord, query: LogQuery = {}): Promise<string> => {
      let text = "";
      for await (const batch of compute.reader.logs(run, query, AbortSignal.timeout(20_000))) {
        for (const { bytes } of batch) text += Buffer.from(bytes).toString();
      }
      return text;
    };

    test("a launched job is reported as running, and then as ended", async () => {
      // Long enough for an engine that reports each second.
      const run = await launched({ forMs: compute.differs?.startsLater ? 3000 : 300 });
      await eventually(() => seen.get(run.id)?.container.phase === "Running");
      const { container } = await settled(run);
      expect(container).toMatchObject({ phase: "Exited", exitCode: 0 });
      const { startedAt = "", finishedAt = "" } = container;
      const isInOrder = compute.differs?.datesAreSeconds ? startedAt <= finishedAt : startedAt < finishedAt;
      expect(startedAt !== "" && isInOrder).toBe(true);
    });

    test("the exit code is reported", async () => {
      const run = await launched({ exitCode: 3 });
      expect((await settled(run)).container.exitCode).toBe(3);
      expect((await compute.writer.observe(run, 0)).container.exitCode).toBe(3);
    });

    test("a second launch finds the first one and starts nothing", async () => {
      const run = await launched({ exitCode: 4 });
      await settled(run);
      expect((await compute.writer.launch(run, 0)).container).toMatchObject({ phase: "Exited", exitCode: 4 });
      expect((await compute.anotherWriter().launch(run, 0)).container.exitCode).toBe(4);
      expect(await compute.begins(run)).toBe(1);
    });

    test("of two workers that launch a run at the same time, one starts the job", async () => {
      const run = compute.run({ forMs: 100 });
      await compute.writer.provision(run);
      const both = [compute.writer, compute.anotherWriter()].map((writer) => writer.launch(run, 0));
      await Promise.all(both);
      await settled(run);
      expect(await compute.begins(run)).toBe(1);
    });

    test("a run that was stopped before its launch never starts", async () => {
      const run = compute.run({});
      await compute.writer.provision(run);
      expect((await compute.writer.stop(run, 0)).container.phase).toBe("Gone");
      expect((await compute.writer.launch(run, 0)).container.phase).toBe("Gone");
      expect(await compute.begins(run)).toBe(0);
    });

    test("a run that was removed is not launched", async () => {
      const run = compute.run({});
      await compute.writer.remove(run);
      expect((await compute.writer.launch(run, 0)).container.phase).toBe("Gone");
      expect(await compute.begins(run)).toBe(0);
    });

    test.each([false, true])("stop ends a running job, ignoring the stop signal: %s", async (ignoresStop) => {
      const run = await launched({ forMs: 60_000, ignoresStop });
      const { container } = await compute.writer.stop(run, 0);
      expect(container.phase).toBe("Exited");
      expect(container.exitCode).not.toBe(0);
      expect((await settled(run)).container.exitCode).toBe(container.exitCode);
      expect((await compute.writer.stop(run, 0)).container.exitCode).toBe(container.exitCode);
    });

    test("stopping a job that has ended gives its own exit", async () => {
      const run = await launched({ exitCode: 5 });
      await settled(run);
      expect((await compute.writer.stop(run, 0)).container.exitCode).toBe(5);
    });

    /** How a run fails whose container cannot be started. */
    const failureOf = async (run: RunRecord): Promise<string> => {
      try {
        await compute.writer.launch(run, 0);
      } catch (err) {
        return err instanceof CodedError ? `${err.code}: ${err.message}` : String(err);
      }
      const { phase, message, exitCode = 0 } = (await settled(run)).container;
      return exitCode === 0 ? `it exited with 0: ${message}` : `${phase}: ${message}`;
    };

    test("a missing program fails the launch for good", async () => {
      const run = compute.run({ isBroken: true });
      await compute.writer.provision(run);
      const expected = compute.differs?.startsLater ? /^Exited: .*\/no\/such\/program/ : /^LaunchFailed: /;
      expect(await failureOf(run)).toMatch(expected);
      expect(hasEnded((await compute.writer.stop(run, 0)).container)).toBe(true);
      await compute.writer.remove(run);
    });

    test("a run that was never launched has not ended", async () => {
      expect((await compute.writer.observe(compute.run({}), 0)).container.phase).toBe("Unknown");
    });

    const traceOf = async (run: RunRecord): Promise<RunTrace | undefined> =>
      (await compute.writer.survey()).find((trace) => isSameRun(trace, run));

    test("a job is listed as executing, with the command that ends it, until it has ended", async () => {
      const run = await launched({ forMs: 60_000 });
      const endCommand = expect.stringContaining(String(run.id));
      expect(await traceOf(run)).toEqual({ id: run.id, uid: run.uid, containers: "Executing", started: 1, endCommand });
      await compute.writer.stop(run, 0);
      expect(await traceOf(run)).toEqual({ id: run.id, uid: run.uid, containers: "Ended", started: 1 });
    });

    test("a run that was provisioned leaves a trace without a container", async () => {
      const run = compute.run({});
      await compute.writer.provision(run);
      expect(await traceOf(run)).toEqual({ id: run.id, uid: run.uid, containers: "None", started: 0 });
      await compute.writer.remove(run);
      expect(await traceOf(run)).toBeUndefined();
    });

    test("remove leaves nothing behind and can be repeated", async () => {
      const run = await launched({ forMs: 60_000 });
      await compute.writer.remove(run);
      await compute.writer.remove(run);
      expect(await traceOf(run)).toBeUndefined();
      expect(hasEnded((await compute.writer.observe(run, 0)).container)).toBe(true);
      expect(await logOf(run)).toBe("");
    });

    test("each replica of a run is launched, reported, stopped and observed by itself", async () => {
      const run = await launched({ replicas: 3, forMs: 60_000 });
      const phaseOf = (index: number) => replicas.get(`${run.id} ${index}`)?.state.container.phase;
      await eventually(() => [0, 1, 2].every((index) => phaseOf(index) === "Running"));
      for (const index of [0, 1, 2]) {
        expect(replicas.get(`${run.id} ${index}`)).toMatchObject({
          count: 3,
          state: { container: { phase: "Running" } },
        });
      }
      expect(await compute.begins(run)).toBe(3);
      expect((await compute.writer.launch(run, 1)).container.phase).toBe("Running");
      expect(await compute.begins(run)).toBe(3);
      expect((await compute.writer.stop(run, 1)).container.phase).toBe("Exited");
      expect((await compute.writer.observe(run, 0)).container.phase).toBe("Running");
      expect(await traceOf(run)).toMatchObject({ containers: "Partly", started: 3 });
      for (const index of [0, 2]) await compute.writer.stop(run, index);
      expect(await traceOf(run)).toMatchObject({ containers: "Ended", started: 3 });
      await compute.writer.remove(run);
      expect(await traceOf(run)).toBeUndefined();
      for (const index of [0, 1, 2]) expect((await compute.writer.launch(run, index)).container.phase).toBe("Gone");
    });

    test("the exit of each replica is its own", async () => {
      const run = await launched({ replicas: 3, exitCodes: { 1: 7 } });
      const exitOf = (index: number) => replicas.get(`${run.id} ${index}`)?.state.container.exitCode;
      await eventually(() => [0, 1, 2].every((index) => exitOf(index) !== undefined));
      const exits = await Promise.all([0, 1, 2].map((index) => compute.writer.observe(run, index)));
      expect(exits.map(({ container }) => container.exitCode)).toEqual([0, 7, 0]);
    });

    test("the logs of replicas have a prefix and are one log in time order", async () => {
      const run = await launched({ replicas: 2, lines: ["one", "two"], forMs: 400 });
      const following = logOf(run, { follow: true });
      const linesIn = (text: string): string[] => text.split("\n").filter(Boolean).toSorted();
      const all = ["[job-0] one", "[job-0] two", "[job-1] one", "[job-1] two"];
      expect(linesIn(await following)).toEqual(all);
      expect(linesIn(await logOf(run))).toEqual(all);
      const lines: LogLine[] = [];
      for await (const batch of compute.reader.logs(run, {}, AbortSignal.timeout(20_000))) lines.push(...batch);
      expect(lines.map(({ at }) => at)).toEqual(lines.map(({ at }) => at).toSorted());
      expect(linesIn(await logOf(run, { tailLines: 3 }))).toHaveLength(3);
      expect(await logOf(run, { tailLines: 0 })).toBe("");
    });

    test("a job with buffers is settled when its pump is done as well", async () => {
      const run = await launched({ hasBuffers: true });
      const state = await settled(run);
      expect(state.pump?.phase).toBe("Succeeded");
      expect((await compute.writer.observe(run, 0)).pump?.phase).toBe("Succeeded");
    });

    test("stopping a job with buffers gives the pump's failure", async () => {
      const run = await launched({ hasBuffers: true, forMs: 60_000 });
      expect((await compute.writer.stop(run, 0)).pump?.phase).toBe("Failed");
    });

    test("a later watcher reports the jobs that ended before it", async () => {
      const run = await launched({ exitCode: 6 });
      await settled(run);
      const heard: ReplicaState[] = [];
      const stop = new AbortController();
      const second = compute.watcher.watch(async (of, { state }) => {
        if (of.id === run.id) heard.push(state);
      }, stop.signal);
      await eventually(() => heard.length > 0);
      stop.abort();
      await second;
      expect(heard[0]?.container.exitCode).toBe(6);
    });

    test("the log is available while the job runs and afterwards", async () => {
      const run = await launched({ lines: ["one", "two", "three"], forMs: 500 });
      await eventually(async () => (await logOf(run)) === "one\ntwo\nthree\n");
      await settled(run);
      expect(await logOf(run)).toBe("one\ntwo\nthree\n");
      expect(await logOf(run, { tailLines: 2 })).toBe("two\nthree\n");
      expect(await logOf(run, { tailLines: 0 })).toBe("");
      expect(await logOf(run, { since: new Date(Date.now() + 60_000).toISOString() })).toBe("");
    });

    test("a followed log ends with the job and has its last line", async () => {
      const run = await launched({ lines: ["one", "two"], forMs: 400 });
      expect(await logOf(run, { follow: true })).toBe("one\ntwo\n");
      expect(await logOf(run, { follow: true, tailLines: 1 })).toBe("two\n");
    });

    test("a run without container has an empty log, followed or not", async () => {
      const run = compute.run({});
      expect(await logOf(run)).toBe("");
      expect(await logOf(run, { follow: true })).toBe("");
    });

    test("a followed log that its reader aborts ends without an error", async () => {
      const run = await launched({ lines: ["one"], forMs: 60_000 });
      const stop = new AbortController();
      let batches = 0;
      for await (const _ of compute.reader.logs(run, { follow: true }, stop.signal)) {
        batches += 1;
        stop.abort();
      }
      expect(batches).toBe(1);
      await compute.writer.stop(run, 0);
    });
  });
}
