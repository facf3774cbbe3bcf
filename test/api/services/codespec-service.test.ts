import { afterEach, beforeEach } from "vitest";
import { createFakeApi, type FakeApi } from "../../fakes/api.ts";
import { testCodespecRoutes } from "../../ports/codespec-routes.ts";
import { fakeHttpApi } from "../../ports/http-api.ts";

let api: FakeApi;
beforeEach(() => {
  api = createFakeApi();
});
afterEach(() => api.app.close());

testCodespecRoutes(() => fakeHttpApi(api));
