import { expect, test } from "vitest";
import { checkMember, LOCAL_USER } from "../../model/caller.ts";

test("the local user has a role, and a caller without one is refused by name", () => {
  expect(() => checkMember(LOCAL_USER)).not.toThrow();
  expect(() => checkMember({ subject: "eve", roles: ["contributor"] })).not.toThrow();
  expect(() => checkMember({ subject: "eve", roles: [] })).toThrow("'eve' has no role on this server");
});
