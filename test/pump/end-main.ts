import { readFileSync } from "node:fs";
import type { PumpCommand, PumpReport, PumpResult, PumpSpec } from "../../model/run/pump.ts";
import { connectApi } from "../../pump/api-client.ts";
import { ApiEnd } from "../../pump/api-end.ts";
import { localEnd } from "../../pump/local-end.ts";

/** The pump's end of a channel, without a pump: it does what its parent says, and says what it hears. */
export type Order = { begin: true } | { show: PumpReport } | { leave: PumpResult };
export type Said = { began: boolean } | { told: PumpCommand } | { refused: string } | { left: true };

process.chdir(process.argv[2] ?? "");
const { channel } = JSON.parse(readFileSync("pump.json", "utf8")) as PumpSpec;
const say = (said: Said): void => void process.send?.(said);
const journal = (): void => {};
const obey = (told: PumpCommand): void => say({ told });
const onRefused = (refused: string): void => say({ refused });
const end = channel
  ? new ApiEnd({ ask: connectApi(channel, journal), obey, onRefused, journal })
  : localEnd(obey, journal);

process.on("message", (order: Order) => {
  if ("begin" in order) void end.begin().then((began) => say({ began }));
  else if ("show" in order) end.show(order.show);
  else void end.leave(order.leave).then(() => say({ left: true }));
});
