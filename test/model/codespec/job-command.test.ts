import { expect, test } from "vitest";
import { expandJobCommand, referencesOf } from "../../../model/codespec/job-command.ts";

const PIPES = { INPUT_PIPE: "/pipes/input.pipe", "MY-IN_PIPE": "/pipes/my-in.pipe" };

test.each([
  ["$(INPUT_PIPE)", "/pipes/input.pipe"],
  ["--in=$(MY-IN_PIPE) x", "--in=/pipes/my-in.pipe x"],
  ["$(NAME)", "value"],
  ["$(UNKNOWN)", "$(UNKNOWN)"],
  ["$(cat x)", "$(cat x)"],
  ["$$(NAME)", "$(NAME)"],
  ["$$$(NAME)", "$value"],
  ["$$$$(NAME)", "$$(NAME)"],
  ["$$(UNKNOWN)", "$(UNKNOWN)"],
  ["$$$(UNKNOWN)", "$$(UNKNOWN)"],
  ["echo $$ $NAME $( $(", "echo $$ $NAME $( $("],
  ["$(DOLLARS)", "$& $1"],
  ["$(NESTED)", "<value>"],
  ["$(LOOP)", "$(LOOP)"],
])("%s becomes %s", (text, expanded) => {
  const env = { NAME: "value", NESTED: "<$(NAME)>", LOOP: "$(LOOP)", DOLLARS: "$& $1" };
  const { command, args } = expandJobCommand({ kind: "job", image: "i", command: [text], args: [text], env }, PIPES);
  expect(command).toEqual([expanded]);
  expect(args).toEqual([expanded]);
});

test("the environment has the codespec's variables, expanded in any order, and the pipes", () => {
  const env = { A: "$(B)!", B: "$(INPUT_PIPE)", INPUT_PIPE: "mine" };
  expect(expandJobCommand({ kind: "job", image: "i", env }, PIPES)).toEqual({
    env: { A: "/pipes/input.pipe!", B: "/pipes/input.pipe", ...PIPES },
  });
});

test("variables that double each other are refused before they fill the memory", () => {
  const env = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`V${i}`, `$(V${i + 1})$(V${i + 1})xxxx`]));
  expect(() => expandJobCommand({ kind: "job", image: "i", env }, {})).toThrow("too long");
});

test("references are found, escaped ones are not", () => {
  expect(referencesOf("$(A_PIPE) $$(B_PIPE) $(cat x) $$$(C_PIPE)")).toEqual(["A_PIPE", "C_PIPE"]);
});
