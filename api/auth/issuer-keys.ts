import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import { CodedError, messageOf } from "../../model/errors.ts";
import { type Clock, REAL_CLOCK } from "../../waiting/retry.ts";
import { fetchJson } from "./fetch-json.ts";

/** The key of the issuer that a token says it was signed with. */
export type KeyFor = JWTVerifyGetKey;

export interface IssuerKeys {
  keyFor: KeyFor;
  /** Ends the refreshes. */
  close(this: void): Promise<void>;
}

export interface IssuerKeysOptions {
  issuer: string;
  log: { warn(facts: object, message: string): void; info(facts: object, message: string): void };
  /** Replaced by tests. */
  get?: (url: string, signal: AbortSignal) => Promise<unknown>;
  clock?: Clock;
}

/** A key that the issuer has withdrawn is accepted for at most this long, while the issuer answers. */
export const REFRESH_MS = 5 * 60_000;
/** After a failed load. */
const RETRY_MS = 15_000;
/** While the issuer does not answer, keys that are older are not trusted: one of them may be withdrawn by now. */
export const MAX_AGE_MS = 24 * 3_600_000;
/** Loads because of tokens with an unknown key. Anyone can make such a token, so they are few in any period. */
const ON_DEMAND = { most: 5, inMs: 30_000 } as const;

const AWAY = "The identity provider cannot be reached; try again later";

/** @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata */
const DISCOVERY = z.object({ issuer: z.string(), jwks_uri: z.url({ protocol: /^https?$/ }) });

/**
 * The keys of an issuer, as its discovery document names them. They are loaded at once, again every five minutes, and when a
 * token has an unknown key. Requests wait only for the first load and for an unknown key.
 */
export function createIssuerKeys({ issuer, log, get = fetchJson, clock = REAL_CLOCK }: IssuerKeysOptions): IssuerKeys {
  let known: { keyFor: ReturnType<typeof createLocalJWKSet>; loadedAtMs: number } | undefined;
  let loading: Promise<void> | undefined;
  let loadsBegun = 0;
  let hasFailed = false;
  const demandedAtMs: number[] = [];
  const closing = new AbortController();

  const fetched = (url: string): Promise<unknown> => get(url, closing.signal);
  const load = async (): Promise<void> => {
    const document = DISCOVERY.parse(await fetched(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`));
    if (document.issuer !== issuer) {
      throw new Error(`the discovery document is of the issuer '${document.issuer}', not of '${issuer}'`);
    }
    const keyFor = createLocalJWKSet((await fetched(document.jwks_uri)) as JSONWebKeySet);
    known = { keyFor, loadedAtMs: clock.nowMs() };
  };
  /** One load at a time; requests that come meanwhile share it. */
  const refresh = (): Promise<void> => {
    if (loading) return loading;
    loadsBegun += 1;
    loading = load()
      .then(
        () => {
          if (hasFailed) log.info({ issuer }, "the identity provider answers again");
          hasFailed = false;
        },
        (err: unknown) => {
          const facts = { issuer, reason: messageOf(err) };
          if (!hasFailed) log.warn(facts, "the keys of the identity provider were not loaded");
          hasFailed = true;
          throw new CodedError("Unavailable", AWAY, { cause: err });
        },
      )
      .finally(() => (loading = undefined));
    return loading;
  };
  /** Whether a token with an unknown key can make us load again. */
  const canAsk = (): boolean => {
    const nowMs = clock.nowMs();
    if (demandedAtMs.length >= ON_DEMAND.most && nowMs - (demandedAtMs[0] ?? 0) < ON_DEMAND.inMs) return false;
    if (demandedAtMs.push(nowMs) > ON_DEMAND.most) demandedAtMs.shift();
    return true;
  };
  const current = () => (known && clock.nowMs() - known.loadedAtMs < MAX_AGE_MS ? known.keyFor : undefined);

  const keyFor: KeyFor = async (header, token) => {
    const find = async () => {
      try {
        return await current()?.(header, token);
      } catch (err) {
        if (err instanceof errors.JWKSNoMatchingKey) return undefined;
        throw err;
      }
    };
    const begunBefore = loadsBegun;
    const known = await find();
    if (known) return known;
    if (loading && loadsBegun === begunBefore) {
      await loading;
      const loaded = await find();
      if (loaded) return loaded;
    }
    // A load from before this request may miss its key. One that began since then has it, if the issuer has it.
    if (loadsBegun === begunBefore && canAsk()) await refresh();
    else await loading;
    const key = await find();
    if (key) return key;
    // The issuer may know the key: then the token is good.
    if (!current() || hasFailed) throw new CodedError("Unavailable", AWAY);
    throw new errors.JWKSNoMatchingKey();
  };

  const refreshing = (async () => {
    while (!closing.signal.aborted) {
      const pauseMs = await refresh().then(
        () => REFRESH_MS,
        () => RETRY_MS,
      );
      // Its only failure is that we are closing.
      await clock.sleep(pauseMs, closing.signal).catch(() => {});
    }
  })();

  return {
    keyFor,
    async close() {
      closing.abort();
      await refreshing;
    },
  };
}
