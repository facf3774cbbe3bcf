import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createIssuerKeys, type IssuerKeys, MAX_AGE_MS, REFRESH_MS } from "../../../api/auth/issuer-keys.ts";
import { createTokenVerifier } from "../../../api/auth/tokens.ts";
import type { Clock } from "../../../waiting/retry.ts";
import { eventually } from "../../eventually.ts";
import { AUDIENCE, type IssuerKey, newKey, sign } from "../../fakes/identity-provider.ts";

const ISSUER = "https://issuer.example.org/realm";
let shown: IssuerKey[];
let asked: string[];
let failure: string | undefined;
let claimedIssuer: string;
/** The answer with the keys, which are those of before, waits for it. */
let gate: Promise<unknown> | undefined;
let nowMs: number;
let pauses: { untilMs: number; end: () => void }[];
let logged: { message: string; reason?: string }[];
let keys: IssuerKeys;

const clock: Clock = {
  nowMs: () => nowMs,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      pauses.push({ untilMs: nowMs + ms, end: () => resolve(undefined) });
      signal?.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
    }),
};

async function get(url: string): Promise<unknown> {
  asked.push(url);
  if (failure !== undefined) throw new Error(failure);
  if (url === `${ISSUER}/.well-known/openid-configuration`) {
    return { issuer: claimedIssuer, jwks_uri: `${ISSUER}/keys` };
  }
  const publicOf = ({ private: { n, e, kty, kid, alg, use } }: IssuerKey) => ({ n, e, kty, kid, alg, use });
  const answer = { keys: shown.map(publicOf) };
  await gate;
  return answer;
}

beforeEach(async () => {
  [asked, failure, claimedIssuer, gate, nowMs, pauses, logged] = [[], undefined, ISSUER, undefined, 1e12, [], []];
  shown = [await newKey("first")];
});
afterEach(() => keys.close());

function open(): void {
  const note = (facts: object, message: string): void => void logged.push({ ...facts, message });
  keys = createIssuerKeys({ issuer: ISSUER, log: { info: note, warn: note }, get, clock });
}
/** Time passes; a refresh that is due runs. */
async function pass(ms: number): Promise<void> {
  nowMs += ms;
  const due = pauses.filter(({ untilMs }) => untilMs <= nowMs);
  pauses = pauses.filter((pause) => !due.includes(pause));
  for (const pause of due) pause.end();
  if (due.length > 0) await eventually(() => pauses.length > 0, { withinMs: 5000 });
}
const settled = () => eventually(() => pauses.length > 0, { withinMs: 5000 });
const loads = (): number => asked.filter((url) => url.endsWith("openid-configuration")).length;

const tokenWith = (key: IssuerKey): Promise<string> =>
  sign(key, { iss: ISSUER, aud: AUDIENCE, sub: "ada", exp: Math.floor(Date.now() / 1000) + 60 });
const answerTo = async (key: IssuerKey): Promise<string> => answerToToken(await tokenWith(key));

async function answerToToken(token: string): Promise<string> {
  try {
    const answer = await createTokenVerifier({ issuer: ISSUER, audience: AUDIENCE }, keys.keyFor)(token);
    return "refused" in answer ? answer.refused : answer.subject;
  } catch (err) {
    return (err as Error).message;
  }
}
const UNKNOWN_KEY = "no applicable key found in the JSON Web Key Set";
const AWAY = "The identity provider cannot be reached; try again later";
const first = (): IssuerKey => shown[0] as IssuerKey;

test("the keys are loaded once for any number of requests", async () => {
  open();
  expect(await Promise.all(Array.from({ length: 50 }, () => answerTo(first())))).toEqual(Array(50).fill("ada"));
  expect(asked).toEqual([`${ISSUER}/.well-known/openid-configuration`, `${ISSUER}/keys`]);
});

describe("a rotated key", () => {
  test("is loaded when the first token has it, once for all that come at a time", async () => {
    open();
    expect(await answerTo(first())).toBe("ada");
    for (const [rotation, kid] of ["second", "third", "fourth"].entries()) {
      const former = first();
      shown = [await newKey(kid), former];
      const tokens = await Promise.all([former, first()].map(tokenWith));
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      const answers = Promise.all(Array.from({ length: 40 }, (_, at) => answerToToken(tokens[at % 2] ?? "")));
      await eventually(() => asked.length === 2 * (rotation + 2), { withinMs: 5000 });
      resolve();
      expect(await answers).toEqual(Array(40).fill("ada"));
    }
    expect(loads()).toBe(4);
  });

  test("that comes while an older load is under way is loaded after it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    open();
    await eventually(() => asked.length === 2, { withinMs: 5000 });
    shown = [await newKey("next"), ...shown];
    const answer = answerToToken(await tokenWith(first()));
    // The request waits for the load by then: it has nothing else to wait for.
    await setImmediate();
    resolve();
    expect([await answer, loads()]).toEqual(["ada", 2]);
  });

  test("that the issuer has withdrawn is refused after the next refresh", async () => {
    open();
    const withdrawn = first();
    await settled();
    shown = [await newKey("next")];
    expect(await answerTo(withdrawn)).toBe("ada");
    await pass(REFRESH_MS);
    expect(await answerTo(withdrawn)).toBe(UNKNOWN_KEY);
    expect(await answerTo(first())).toBe("ada");
  });
});

test("tokens with made-up keys make few loads, and none for the tokens of the issuer", async () => {
  open();
  await settled();
  const madeUp = await Promise.all(["a", "b"].map((kid) => newKey(kid)));
  for (let time = 0; time < 50; time += 1) expect(await answerTo(madeUp[time % 2] as IssuerKey)).toBe(UNKNOWN_KEY);
  expect(loads()).toBe(1 + 5);
  expect(await answerTo(first())).toBe("ada");
  await pass(30_000);
  expect(await answerTo(madeUp[0] as IssuerKey)).toBe(UNKNOWN_KEY);
  expect(loads()).toBe(1 + 6);
});

describe("while the issuer is away", () => {
  test("from the start, requests are told to try again, and work as soon as it is back", async () => {
    failure = "connect ECONNREFUSED";
    open();
    expect(await answerTo(first())).toBe(AWAY);
    await settled();
    expect(logged).toEqual([
      { issuer: ISSUER, reason: "connect ECONNREFUSED", message: "the keys of the identity provider were not loaded" },
    ]);
    for (let time = 0; time < 20; time += 1) expect(await answerTo(first())).toBe(AWAY);
    expect(loads()).toBeLessThanOrEqual(1 + 5 + 1);
    failure = undefined;
    await pass(15_000);
    expect(await answerTo(first())).toBe("ada");
    expect(logged.map(({ message }) => message).slice(1)).toEqual(["the identity provider answers again"]);
  });

  test("known keys work for a day, with a try each quarter of a minute", async () => {
    open();
    const known = first();
    await settled();
    failure = "connect ETIMEDOUT";
    await pass(REFRESH_MS);
    expect(await answerTo(known)).toBe("ada");
    const perhapsNew = await newKey("perhaps new");
    for (let time = 0; time < 10; time += 1) expect(await answerTo(perhapsNew)).toBe(AWAY);
    await pass(15_000);
    expect(await answerTo(known)).toBe("ada");
    expect(logged).toHaveLength(1);
    await pass(MAX_AGE_MS - REFRESH_MS - 15_001);
    expect(await answerTo(known)).toBe("ada");
    await pass(1);
    expect(await answerTo(known)).toBe(AWAY);
  });
});

test.each([
  ["another issuer", () => (claimedIssuer = "https://evil.example.org"), "is of the issuer 'https://evil.example.org'"],
  ["no document", () => (claimedIssuer = undefined as never), "expected string"],
])("a discovery document of %s gives no keys, and the log says why", async (_name, change, reason) => {
  change();
  open();
  expect(await answerTo(first())).toBe(AWAY);
  await settled();
  expect(logged[0]?.reason).toContain(reason);
});
