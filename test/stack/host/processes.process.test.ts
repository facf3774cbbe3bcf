import { isDeepStrictEqual } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { holdsSocket, identify, programOf, userOf } from "../../../stack/host/processes.ts";
import { eventually } from "../../eventually.ts";
import { startStarved } from "../../starved.ts";

test("a process that is gone is gone in each way of asking", () => {
  const gone = 2 ** 30;
  const asked = [identify(gone), programOf(gone), userOf(gone), holdsSocket(gone, "1")];
  expect(asked).toEqual([undefined, undefined, undefined, false]);
});

test("a process that is out of descriptors does not take a live one for dead", async () => {
  const looker = startStarved<{ way: string; answer: string }>("stack/host/starved-looker.ts", []);
  onTestFinished(() => looker.end());
  const answers = (): Record<string, string> => Object.fromEntries(looker.said.map(({ way, answer }) => [way, answer]));
  const seen = (wanted: object) => eventually(() => isDeepStrictEqual(answers(), wanted));
  const known = { identify: "object", programOf: "string", userOf: "number", holdsSocket: "boolean" };
  await seen(known);
  await looker.hog(0);
  const fault = (name: string): string => expect.stringMatching(new RegExp(`EMFILE.*${name}`)) as string;
  await eventually(() => answers()["identify"] !== "object");
  await eventually(() => answers()["holdsSocket"] !== "boolean");
  expect(answers()).toEqual({
    identify: fault("stat"),
    programOf: fault("comm"),
    userOf: fault("status"),
    holdsSocket: "undefined",
  });
  await looker.free();
  await seen(known);
});
