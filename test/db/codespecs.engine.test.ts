import { isSameCodespec } from "../fakes/codespecs.ts";
import { expect, test } from "vitest";
import { codespec, openFresh } from "./fixture.ts";

test("a name too long for the index is refused as input", async () => {
  const { database } = await openFresh();
  const name = Array.from({ length: 3000 }, (_, place) => `${place * 7919}`).join("");
  await expect(database.codespecs.put(name, codespec, isSameCodespec)).rejects.toMatchObject({ code: "InvalidInput" });
});
