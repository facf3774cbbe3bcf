import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../model/errors.ts";
import type { PumpCommand, PumpReport, PumpResult } from "../model/run/pump.ts";
import { isRecord } from "../model/run/parse.ts";
import { parseOrders, type PumpFarewell, type PumpOrders, type PumpPoll } from "../model/run/pump-messages.ts";
import { type AskApi, isRefusal } from "./api-client.ts";
import type { PumpEnd } from "./channel-end.ts";
import type { Journal } from "./journal.ts";

/** Less than load balancers allow a request, by default 30 s. */
const WAIT_SECONDS = 20;
/** An API that is about to stop answers at once: no reason to ask it a thousand times. */
const LEAST_MS = 250;

export interface ApiEndParts {
  ask: AskApi;
  obey: (command: PumpCommand) => void;
  /** The API takes this pump for another one's, or its run for ended. Nothing is heard after that. */
  onRefused: (reason: string) => void;
  journal: Journal;
}

/**
 * The pump's end of a channel over our API, for workers that cannot reach it. It asks for commands again and again, and
 * shows its state with each question. A question whose answer was lost is asked again: the API numbers its commands.
 */
export class ApiEnd implements PumpEnd {
  readonly #parts: ApiEndParts;
  readonly #instance = randomBytes(12).toString("base64url");
  #report: PumpReport = { phase: "Running" };
  #sequence = 0;
  #heard = 0;
  #hasLeft = false;
  /** Ends the question under way, because there is something new to show. */
  #wake = new AbortController();

  constructor(parts: ApiEndParts) {
    this.#parts = parts;
  }

  async begin(): Promise<boolean> {
    try {
      // Commands that are there already are the answer to the next question.
      await this.#poll(0, undefined);
    } catch (err) {
      if (!isRefusal(err)) throw err;
      this.#parts.journal("error", "the API refuses this pump", { reason: messageOf(err) });
      return false;
    }
    void this.#converse();
    return true;
  }

  show(report: PumpReport): void {
    this.#report = report;
    this.#sequence += 1;
    this.#wake.abort();
  }

  async leave(result: PumpResult): Promise<void> {
    const farewell: PumpFarewell = { instance: this.#instance, result };
    this.#hasLeft = true;
    this.#wake.abort();
    try {
      await this.#parts.ask({ method: "PUT", path: "/result", body: farewell }, isRecord);
    } catch (err) {
      if (!isRefusal(err)) throw err;
      // The run is over: no one needs the result.
      this.#parts.journal("warn", "the API refuses the result", { reason: messageOf(err) });
    }
  }

  /** Never rejects. */
  async #converse(): Promise<void> {
    while (!this.#hasLeft) {
      this.#wake = new AbortController();
      const { signal } = this.#wake;
      try {
        const leastMs = sleep(LEAST_MS, undefined, { signal });
        leastMs.catch(() => {});
        const { commands } = await this.#poll(WAIT_SECONDS, signal);
        this.#heard += commands.length;
        for (const command of commands) if (command) this.#parts.obey(command);
        if (commands.length === 0) await leastMs;
      } catch (err) {
        if (signal.aborted) continue;
        return this.#parts.onRefused(messageOf(err));
      }
    }
  }

  #poll(waitSeconds: number, signal: AbortSignal | undefined): Promise<PumpOrders> {
    const poll: PumpPoll = {
      instance: this.#instance,
      heard: this.#heard,
      sequence: this.#sequence,
      report: this.#report,
    };
    const request = { method: "POST", path: "/poll", body: poll, signal } as const;
    return this.#parts.ask(request, parseOrders, waitSeconds);
  }
}
