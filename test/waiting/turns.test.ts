import { expect, test } from "vitest";
import { turns } from "../../waiting/turns.ts";

test("works wait for their turn in the order in which they came, and one that fails gives its turn back", async () => {
  const inTurn = turns(2);
  const begun: number[] = [];
  const ends: PromiseWithResolvers<void>[] = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const works = ends.map(({ promise }, place) =>
    inTurn(async () => {
      begun.push(place);
      await promise;
      return place;
    }),
  );
  await new Promise(setImmediate);
  expect(begun).toEqual([0, 1]);
  ends[1]?.reject(new Error("failed"));
  await expect(works[1]).rejects.toThrow("failed");
  await new Promise(setImmediate);
  expect(begun).toEqual([0, 1, 2]);
  for (const place of [4, 3, 2, 0]) ends[place]?.resolve();
  expect(await Promise.all([works[0], works[2], works[3], works[4]])).toEqual([0, 2, 3, 4]);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});
