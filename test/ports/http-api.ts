import type { JobCodespec } from "../../model/codespec/codespec.ts";
import type { FakeApi } from "../fakes/api.ts";

export interface Answer {
  statusCode: number;
  headers: Readonly<Record<string, unknown>>;
  /** The body, of the type that the test expects. */
  // oxlint-disable-next-line typescript/no-explicit-any -- as the answers of Fastify's own `inject`
  json: () => any;
  body: string;
}

export interface Sent {
  payload?: object | string;
  headers?: Readonly<Record<string, string>>;
}

/** A server as its clients see it: an app in memory, or processes behind a proxy. Tests make what they use. */
export interface HttpApi {
  call(method: "GET" | "POST" | "PUT" | "DELETE", url: string, sent?: Sent): Promise<Answer>;
  /** Can be run. */
  codespec: JobCodespec;
  /** Ends a run, as its workflow does. */
  end(id: number): Promise<void>;
}

/** The app over records in memory. */
export const fakeHttpApi = (fake: FakeApi): HttpApi => ({
  call: (method, url, { payload, headers } = {}) =>
    fake.app.inject({ method, url, ...(payload !== undefined && { payload }), ...(headers && { headers }) }),
  codespec: { kind: "job", image: "ubuntu" },
  end: async (id) => fake.change(id, { status: "Succeeded" }),
});
