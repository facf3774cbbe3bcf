import { expect, test } from "vitest";
import { findInstallation } from "../../../stack/host/installation.ts";
import { parseTemporalConfig, readTemporalConfig, temporalArguments } from "../../../stack/temporal/temporal-config.ts";

const file = findInstallation().temporalConfig;

test("temporal-dev.yaml starts a server on loopback, tuned, with our search attributes", () => {
  const args = temporalArguments(readTemporalConfig(file), { port: 7, uiPort: 8, databaseFile: "/d/temporal.db" });
  const given = args.join(" ");
  expect(given).toContain("server start-dev --ip 127.0.0.1 --port 7 --ui-port 8 --namespace default");
  expect(given).toContain("--db-filename /d/temporal.db");
  for (const pair of [
    "--search-attribute TygerStatus=Keyword",
    "--search-attribute TygerCodespec=Keyword",
    "--sqlite-pragma journal_mode=WAL",
    "--sqlite-pragma synchronous=1",
    "--dynamic-config-value history.transferProcessorMaxPollRPS=1000",
    "--dynamic-config-value history.timerProcessorMaxPollRPS=1000",
    "--dynamic-config-value history.visibilityProcessorMaxPollRPS=1000",
  ]) {
    expect(given).toContain(pair);
  }
});

test("text of the dynamic configuration is handed over as JSON", () => {
  const config = { ...readTemporalConfig(file), dynamicConfig: { "a.word": "x", "a.flag": true } };
  const args = temporalArguments(config, { port: 1, uiPort: 2, databaseFile: "f" });
  expect(args).toContain('a.word="x"');
  expect(args).toContain("a.flag=true");
});

test("a wrong setting is named together with its file", () => {
  const wrong = "ip: 127.0.0.1\nport: 70000\nuiPort: 0\nnamespace: default\nretention: soon\ntypo: 1\n";
  const parse = () => parseTemporalConfig(wrong, "/x/temporal-dev.yaml");
  expect(parse).toThrow(/'\/x\/temporal-dev\.yaml' is invalid/);
  expect(parse).toThrow(/port: /);
  expect(parse).toThrow(/retention: must be a number with h, m, or s/);
  expect(parse).toThrow(/typo/);
});
