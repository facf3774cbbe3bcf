import { afterEach, beforeEach, describe } from "vitest";
import type { FakeApi } from "../fakes/api.ts";
import { WITH_AND_WITHOUT_TOKENS } from "../fakes/token-api.ts";
import { fakeHttpApi } from "../ports/http-api.ts";
import { testSetRun } from "../ports/set-run.ts";

describe.each(WITH_AND_WITHOUT_TOKENS)("%s", (_name, create) => {
  let api: FakeApi;
  beforeEach(() => {
    api = create();
  });
  afterEach(() => api.app.close());

  testSetRun(() => fakeHttpApi(api));
});
