import { loadavg } from "node:os";

/** Ours against a rival, both measured in one run, one after the other in turn. */
export interface Comparison {
  name: string;
  /** One measurement, in words. */
  unit: "ms" | "MiB/s" | "runs/s";
  repeats: number;
  /** One measurement, in `unit`. */
  ours(round: number): Promise<number>;
  rival(round: number): Promise<number>;
  rivalName: string;
  /** The bound of ours / rival: at most for times, at least for rates. */
  budget: { p50: number; p95?: number };
  /** Added to the rival before the ratio is taken: a grace that only ours grants. */
  allowanceMs?: number;
  close?(): Promise<void>;
}

/** A measurement without a rival, with a bound of its own. */
export interface Limits {
  name: string;
  repeats: number;
  bounds: readonly { what: string; unit: string; atMost: number }[];
  /** One value for each bound, in its unit. */
  measure(round: number): Promise<number[]>;
}

const isRate = (unit: Comparison["unit"]): boolean => unit !== "ms";

export const quantile = (values: readonly number[], at: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? Number.NaN;
};

/** Takes all measurements, ours and the rival's in turn, and gives one line of the report for each bound. */
export async function compare(comparison: Comparison): Promise<string[]> {
  const { unit, repeats, budget, allowanceMs = 0 } = comparison;
  const [ours, rival]: [number[], number[]] = [[], []];
  try {
    // The first of each warms caches on both sides and does not count.
    for (let round = -1; round < repeats; round++) {
      const pair = [await comparison.ours(round), await comparison.rival(round)] as const;
      if (round < 0) continue;
      ours.push(pair[0]);
      rival.push(pair[1]);
    }
  } finally {
    await comparison.close?.();
  }
  const bounds = [["p50", 0.5, budget.p50] as const, ...(budget.p95 ? [["p95", 0.95, budget.p95] as const] : [])];
  return bounds.map(([name, at, bound]) => {
    // The worst of a rate is its lowest.
    const place = isRate(unit) ? 1 - at : at;
    const [mine, theirs] = [quantile(ours, place), quantile(rival, place)];
    const ratio = mine / (theirs + allowanceMs);
    const isMet = isRate(unit) ? ratio >= bound : ratio <= bound;
    return [
      `${comparison.name} ${name}`.padEnd(34),
      `${mine.toFixed(1)} ${unit}`.padStart(16),
      `${theirs.toFixed(1)} ${unit}`.padStart(16),
      `${ratio.toFixed(2)}x`.padStart(8),
      `${isRate(unit) ? "at least" : "at most"} ${bound}x`.padStart(15),
      isMet ? "met" : "MISSED",
      `(n=${repeats}, against ${comparison.rivalName}${allowanceMs > 0 ? ` + ${allowanceMs} ms` : ""}, load ${loadavg()[0]?.toFixed(1)})`,
    ].join("  ");
  });
}

/** Measures `repeats` times, and gives one line of the report for the median of each bound. */
export async function check(limits: Limits): Promise<string[]> {
  const { name, repeats, bounds } = limits;
  const rounds: number[][] = [];
  for (let round = 0; round < repeats; round++) rounds.push(await limits.measure(round));
  return bounds.map(({ what, unit, atMost }, index) => {
    const value = quantile(
      rounds.map((values) => values[index] ?? Number.NaN),
      0.5,
    );
    return [
      `${name}: ${what}`.padEnd(34),
      `${value.toFixed(1)} ${unit}`.padStart(16),
      "".padStart(26),
      `at most ${atMost}`.padStart(15),
      value <= atMost ? "met" : "MISSED",
      `(n=${repeats}, load ${loadavg()[0]?.toFixed(1)})`,
    ].join("  ");
  });
}

/** How long `work` takes, in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
