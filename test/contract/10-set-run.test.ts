import { afterEach, beforeEach } from "vitest";
import { createFakeApi, type FakeApi } from "../fakes/api.ts";
import { fakeHttpApi } from "../ports/http-api.ts";
import { testSetRun } from "../ports/set-run.ts";

let api: FakeApi;
beforeEach(() => {
  api = createFakeApi();
});
afterEach(() => api.app.close());

testSetRun(() => fakeHttpApi(api));
