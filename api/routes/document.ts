import type { FastifyPluginAsync } from "fastify";
import { openApiOf } from "../../contract/openapi.ts";
import { ROUTES } from "../../contract/routes.ts";
import { serve } from "../http/route.ts";
import { readViewerFile, VIEWER_FILES } from "../http/viewer-files.ts";

/** Scripts in files only, and nothing from or to another server. */
const POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>tyger API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/swagger/swagger-ui.css">
  </head>
  <body>
    <div id="document"></div>
    <script src="/swagger/swagger-ui-bundle.js"></script>
    <script src="/swagger/page.js"></script>
  </body>
</html>
`;

/** Requests that are tried out need the version, which the document does not list as a parameter. */
const SCRIPT = `SwaggerUIBundle({
  url: "${ROUTES.getOpenApiJson.path}",
  dom_id: "#document",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor(request) {
    const url = new URL(request.url, location.href);
    if (!url.searchParams.has("api-version")) url.searchParams.set("api-version", "1.0");
    request.url = url.href;
    return request;
  },
});
`;

const TYPES = { html: "text/html", css: "text/css", js: "text/javascript" } as const;

/** The OpenAPI document, and a page that shows it. Anonymous, and for every version. */
export const documentRoutes = (): FastifyPluginAsync => async (app) => {
  const json = JSON.stringify(openApiOf(ROUTES));

  serve(app, ROUTES.getOpenApiJson, {
    handler: async (_req, reply) => reply.type("application/json; charset=utf-8").send(json),
  });

  serve(app, ROUTES.getOpenApiYaml, {
    handler: async (_req, reply) => {
      const { stringify } = await import("yaml");
      return reply.type("application/yaml; charset=utf-8").send(stringify(JSON.parse(json), { lineWidth: 0 }));
    },
  });

  const show = (url: string, kind: keyof typeof TYPES, read: () => Promise<string | Buffer>): void => {
    app.get(url, { config: { neutral: true } }, async (_req, reply) =>
      reply
        .type(`${TYPES[kind]}; charset=utf-8`)
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff")
        .send(await read()),
    );
  };
  show("/swagger", "html", async () => PAGE);
  show("/swagger/index.html", "html", async () => PAGE);
  show("/swagger/page.js", "js", async () => SCRIPT);
  for (const name of VIEWER_FILES) {
    show(`/swagger/${name}`, name.endsWith(".css") ? "css" : "js", () => readViewerFile(name));
  }
};
