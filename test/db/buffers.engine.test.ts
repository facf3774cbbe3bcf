import { expect, test } from "vitest";
import { bufferId, openFresh } from "./fixture.ts";

test("a buffer is found as it was answered", async () => {
  const { database } = await openFresh();
  const id = bufferId();
  const buffer = await database.buffers.create({ id, location: "local", tags: { b: "2", a: "1" } });
  expect(buffer).toEqual({
    id,
    location: "local",
    createdAt: expect.stringContaining("+00:00"),
    tags: { a: "1", b: "2" },
    eTag: expect.stringMatching(/^\d+$/),
  });
  expect(await database.buffers.find(id)).toEqual(buffer);
  expect(await database.buffers.find(bufferId())).toBeUndefined();
});

test("a buffer without tags has none", async () => {
  const { database } = await openFresh();
  const [bare, empty] = [bufferId(), bufferId()];
  expect(await database.buffers.create({ id: bare, location: "local" })).not.toHaveProperty("tags");
  expect(await database.buffers.create({ id: empty, location: "local", tags: {} })).not.toHaveProperty("tags");
});

test.each([
  ["2098-01-25T18:20:49.999999999Z", "2098-01-25T18:20:49.999999+00:00"],
  ["2098-01-25T18:20:49.1234564999+02:00", "2098-01-25T16:20:49.123456+00:00"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:00"],
  ["9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999+00:00"],
])("an expiry of %s is shown as %s, at once and later", async (expiresAt, shown) => {
  const { database } = await openFresh();
  const buffer = await database.buffers.create({ id: bufferId(), location: "local", expiresAt });
  expect(buffer.expiresAt).toBe(shown);
  expect(await database.buffers.find(buffer.id)).toEqual(buffer);
});

test("an expiry that is no instant is refused", async () => {
  const { database } = await openFresh();
  const buffer = { id: bufferId(), location: "local", expiresAt: "2024-02-30T00:00:00Z" };
  await expect(database.buffers.create(buffer)).rejects.toMatchObject({ code: "InvalidInput" });
});
