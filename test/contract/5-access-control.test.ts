import { describe, expect, test } from "vitest";
import { type Route, ROUTES } from "../../contract/routes.ts";
import { createTokenApi, tokenOf } from "../fakes/token-api.ts";

const ROUTE_LIST: readonly Route[] = Object.values(ROUTES);

/** The table of the REST contract, section 5. Some of these routes do not exist yet. */
const OWNER_ONLY = [
  "DELETE /buffers",
  "DELETE /buffers/{id}",
  "POST /buffers/restore",
  "POST /buffers/{id}/restore",
  "POST /buffers/export",
  "POST /buffers/import",
];
const ANONYMOUS = [
  "GET /metadata",
  "GET /healthcheck",
  "GET /swagger/v1.0/swagger.json",
  "GET /swagger/v1.0/swagger.yaml",
  "GET /database-version-in-use",
];
const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

test("owners alone can use what the contract reserves for them, of the routes that exist", () => {
  const marked = ROUTE_LIST.filter(({ isOwnerOnly }) => isOwnerOnly).map(nameOf);
  const named = ROUTE_LIST.map(nameOf).filter((name) => OWNER_ONLY.includes(name));
  expect(marked.toSorted()).toEqual(named.toSorted());
});

/** How a route answers to a request without a token, and to callers without a role, with each role. */
const decisionsOf = (name: string): (401 | 403 | "served")[] => {
  if (ANONYMOUS.includes(name)) return ["served", "served", "served", "served"];
  return [401, 403, OWNER_ONLY.includes(name) ? 403 : "served", "served"];
};

describe("each route", () => {
  const asking = async ({ method, path }: Route, authorization: string) => {
    const api = createTokenApi();
    const url = `${path.replaceAll(/\{\w+\}/g, "1")}?api-version=1.0`;
    const { statusCode } = await api.app.inject({ method, url, headers: { authorization } });
    await api.app.close();
    return statusCode === 401 || statusCode === 403 ? statusCode : "served";
  };

  test.each(ROUTE_LIST.map((route) => [nameOf(route), route] as const))("%s", async (name, route) => {
    const tokens = [[], ["contributor"], ["owner"]].map((roles) => `Bearer ${tokenOf("ada", roles)}`);
    const decisions = await Promise.all(["", ...tokens].map((authorization) => asking(route, authorization)));
    expect(decisions).toEqual(decisionsOf(name));
  });

  test("for owners refuses a contributor before the body is looked at", async () => {
    const api = createTokenApi();
    api.app.delete("/reserved/:id", { config: { ownerOnly: true } }, async () => "deleted");
    const remove = async (role: string) => {
      const headers = { authorization: `Bearer ${tokenOf("ada", [role])}` };
      return api.app.inject({ method: "DELETE", url: "/reserved/1?api-version=1.0", headers, payload: "{bad" });
    };
    expect((await remove("contributor")).json()).toEqual({
      error: { code: "Forbidden", message: "'ada' is not an owner of this server" },
    });
    expect((await remove("owner")).statusCode).not.toBe(403);
    await api.app.close();
  });
});
