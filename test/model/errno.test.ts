import { expect, test } from "vitest";
import { connectionFailureOf, errnoWordsOf, isDiskFull, isNoFile } from "../../model/errno.ts";

const failure = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

test.each([
  ["ECONNREFUSED", "noListener"],
  ["ENOENT", "noListener"],
  ["ENOTFOUND", "unsent"],
  ["EAI_AGAIN", "unsent"],
  ["EHOSTUNREACH", "unsent"],
  ["ENETUNREACH", "unsent"],
  ["ECONNRESET", "lost"],
  ["ECONNABORTED", "lost"],
  ["EPIPE", "lost"],
  ["ETIMEDOUT", "lost"],
  ["EACCES", undefined],
  ["ENOSPC", undefined],
  ["constructor", undefined],
])("%s as the end of a connection: %s", (code, expected) => {
  expect(connectionFailureOf(failure(code))).toBe(expected);
});

test("one code has other words for a socket and for a file", () => {
  const missing = failure("ENOENT");
  expect([
    errnoWordsOf(missing, "connecting"),
    errnoWordsOf(missing, "reading"),
    errnoWordsOf(missing, "writing"),
  ]).toEqual(["there is no such socket", "there is no such file", "its folder does not exist"]);
});

test("a code without words, or any other thrown value, gives none", () => {
  for (const thrown of [failure("EXDEV"), failure("toString"), new Error("plain"), "text", undefined]) {
    expect(errnoWordsOf(thrown, "reading")).toBeUndefined();
    expect(connectionFailureOf(thrown)).toBeUndefined();
  }
});

test("a full disk and a missing file are told apart from other failures", () => {
  expect(["ENOSPC", "EDQUOT", "EROFS"].map((code) => isDiskFull(failure(code)))).toEqual([true, true, false]);
  expect(["ENOENT", "ENOTDIR", "EACCES"].map((code) => isNoFile(failure(code)))).toEqual([true, true, false]);
});
