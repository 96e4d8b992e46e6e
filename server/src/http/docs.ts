import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { SwaggerConfigs } from "swagger-ui-dist";
import { z } from "zod";
import { ERROR_PAGE_STYLE, errorPage } from "./error-page.ts";
import type { Answer, Router } from "./route.ts";

/*
 * The API, browsable: Swagger UI from our own files under a policy of its own, so that it works without a network and loads
 * nothing from anywhere else. It shows what any reader of the source knows and nothing of this installation.
 */

const tag = "documentation";

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  // Swagger UI sets styles on its elements.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bunting API</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const OPTIONS: SwaggerConfigs = {
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  // A token that was typed in is gone with the page.
  persistAuthorization: false,
  // By default the document would be sent to a validator on the internet.
  validatorUrl: null,
};

const START = `SwaggerUIBundle(${JSON.stringify(OPTIONS, null, 2)});\n`;

const ASSETS = {
  "swagger-ui.css": { file: "swagger-ui.css", type: "text/css; charset=utf-8" },
  "swagger-ui.js": { file: "swagger-ui-bundle.js", type: SCRIPT },
  "favicon.png": { file: "favicon-32x32.png", type: "image/png" },
  "start.js": { text: START, type: SCRIPT },
  "errors.css": { text: ERROR_PAGE_STYLE, type: "text/css; charset=utf-8" },
} as const;

const asset = z.object({ asset: z.enum(Object.keys(ASSETS) as (keyof typeof ASSETS)[]) });

/** @param document made once everything is mounted, at the first request. */
export function docsRoutes(router: Router, document: () => object): void {
  let text: string | undefined;

  router.add(
    {
      method: "get",
      path: "/openapi.json",
      operationId: "openapi",
      tag,
      summary: "This document",
      access: "open",
      success: { status: 200, description: "OpenAPI 3.1.", mediaType: "application/json" },
    },
    () => {
      text ??= JSON.stringify(document());
      return { status: 200, body: text };
    },
  );

  router.add(
    {
      method: "get",
      path: "/docs",
      operationId: "docs",
      tag,
      summary: "This document, browsable",
      access: "open",
      success: { status: 200, description: "A page.", mediaType: "text/html" },
    },
    () => page(PAGE, HTML),
  );

  router.add(
    {
      method: "get",
      path: "/docs/errors",
      operationId: "errorReference",
      tag,
      summary: "Every error code: what it means, when it is normal, what to do",
      access: "open",
      success: { status: 200, description: "A page; each code is an anchor.", mediaType: "text/html" },
    },
    () => page(errorPage(), HTML),
  );

  router.add(
    {
      method: "get",
      path: "/docs/{asset}",
      operationId: "docsAsset",
      tag,
      summary: "Scripts and styles of the page",
      access: "open",
      params: asset,
      success: { status: 200, description: "A file.", mediaType: "*/*" },
    },
    ({ params }) => {
      const found = ASSETS[params.asset];
      const body = "text" in found ? found.text : readFileSync(path.join(swaggerFolder(), found.file));
      const answer = page(body, found.type);
      return { ...answer, headers: { ...answer.headers, "Cache-Control": "public, max-age=3600" } };
    },
  );

  router.add(
    {
      method: "get",
      path: "/",
      operationId: "root",
      tag,
      summary: "Leads to the documentation",
      access: "open",
      success: { status: 302, description: "To /docs.", headers: ["Location"] },
    },
    () => ({ status: 302, headers: { Location: "/docs" } }),
  );
}

function page(body: string | Uint8Array, type: string): Answer {
  return { status: 200, body, headers: { "Content-Type": type, "Content-Security-Policy": POLICY } };
}

/** Beside the bundle in the packed command line; in its own package everywhere else. */
function swaggerFolder(): string {
  const packed = fileURLToPath(new URL("./assets/swagger-ui", import.meta.url));
  if (existsSync(packed)) return packed;
  return path.dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
}
