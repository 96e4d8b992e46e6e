import * as contracts from "@bunting/contracts";
import { ERRORS } from "@bunting/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import * as examples from "./examples.ts";
import { type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

interface Media {
  readonly schema: { readonly $ref?: string; readonly type?: string };
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly security: readonly object[];
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, Media>>; readonly headers: object }
    >
  >;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly headers: Readonly<Record<string, object>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
  readonly tags: readonly { readonly name: string }[];
}

let under: ServerUnderTest;
let document: Document;
let operations: (Operation & { readonly method: string; readonly path: string })[];

beforeAll(async () => {
  under = await startServerUnderTest({ environment: { BUNTING_TRUSTED_PROXIES: "1" } });
  document = JSON.parse((await under.request("GET", "/openapi.json", { token: null })).text) as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method, path })),
  );
});
afterAll(() => under.dispose());

/** OpenAPI 3.1.0, as far as this document uses it: what must be there, in the form it must have. */
const structure = (() => {
  const reference = z.strictObject({ $ref: z.string().regex(/^#\/components\/(schemas|headers)\/[\w-]+$/) });
  const schema = z.union([reference, z.looseObject({ $ref: z.never().optional() })]);
  const media = z.strictObject({
    schema,
    example: z.unknown().optional(),
    examples: z.record(z.string(), z.strictObject({ value: z.unknown() })).optional(),
  });
  const content = z.record(z.string().regex(/^[\w*]+\/[\w*.+-]+$/), media);
  const header = z.union([reference, z.strictObject({ description: z.string(), schema })]);
  const operation = z.strictObject({
    operationId: z.string().regex(/^[a-z][A-Za-z0-9]*$/),
    summary: z.string().min(1),
    description: z.string(),
    tags: z.array(z.string()).length(1),
    security: z.array(z.record(z.string(), z.array(z.string()))),
    parameters: z.array(
      z.strictObject({
        name: z.string(),
        in: z.enum(["path", "query", "header"]),
        required: z.boolean(),
        description: z.string().optional(),
        schema,
      }),
    ),
    requestBody: z.strictObject({ required: z.literal(true), content }).optional(),
    responses: z.record(
      z.string().regex(/^[2345]\d\d$/),
      z.strictObject({
        description: z.string().min(1),
        headers: z.record(z.string(), header),
        content: content.optional(),
      }),
    ),
  });
  return z.strictObject({
    openapi: z.literal("3.1.0"),
    info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
    servers: z.array(z.strictObject({ url: z.string() })),
    tags: z.array(z.strictObject({ name: z.string() })),
    paths: z.record(
      z.string().startsWith("/"),
      z.partialRecord(z.enum(["get", "put", "post", "patch", "delete"]), operation),
    ),
    components: z.strictObject({
      schemas: z.record(z.string().regex(/^[\w.-]+$/), z.looseObject({})),
      headers: z.record(z.string(), header),
      parameters: z.strictObject({}),
      securitySchemes: z.strictObject({
        token: z.strictObject({ type: z.literal("http"), scheme: z.literal("bearer"), description: z.string() }),
      }),
    }),
    webhooks: z.strictObject({}).optional(),
  });
})();

/** Every `$ref` below a value. */
function references(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === "$ref" && typeof inner === "string" ? [inner] : references(inner),
  );
}

describe("/openapi.json", () => {
  it("has the structure of an OpenAPI 3.1 document", () => {
    expect(z.prettifyError(structure.safeParse(document).error ?? new z.ZodError([]))).toBe("");
  });

  it("refers to nothing that is not there, and holds no relative schema ids", () => {
    const targets = new Set(references(document));
    const missing = [...targets].filter((target) => {
      const [, , kind, name] = target.split("/");
      const components: Readonly<Record<string, Readonly<Record<string, object>>>> = { ...document.components };
      return !Object.hasOwn(components[kind ?? ""] ?? {}, name ?? "");
    });
    expect(missing).toEqual([]);
    expect(JSON.stringify(document)).not.toMatch(/"\$id"|"\$schema"|\$defs|__shared/);
  });

  it("names each operation once, and each path parameter", () => {
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, parameters } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const stated = parameters.filter((parameter) => parameter.in === "path");
      expect([path, new Set(stated.map(({ name }) => name))]).toEqual([path, new Set(inPath)]);
      expect(stated.every(({ required }) => required)).toBe(true);
    }
  });

  it("lists every mounted route with what it answers without a token", async () => {
    for (const [index, { method, path, security }] of operations.entries()) {
      const target = path.replace("{asset}", "start.js").replaceAll(/\{\w+\}/g, "x");
      // From an address of its own each time: too many failures from one are refused otherwise.
      const headers = { "x-forwarded-for": `192.0.2.${index}` };
      const { status } = await under.request(method.toUpperCase(), target, { token: null, headers });
      expect([method, path, status === 401]).toEqual([method, path, security.length > 0]);
    }
  });

  it("gives every body and every answer an example, and every error code one", () => {
    for (const { operationId, requestBody, responses } of operations) {
      const bodies = Object.values(requestBody?.content ?? {});
      for (const [status, { content = {} }] of Object.entries(responses)) {
        if (status.startsWith("2") && content["application/json"]?.schema.$ref)
          bodies.push(content["application/json"]);
        const errors = content["application/problem+json"];
        if (!errors) continue;
        expect(errors.schema.$ref).toBe("#/components/schemas/Problem");
        for (const [code, { value }] of Object.entries(errors.examples ?? {})) {
          expect(value).toMatchObject({ code, status: Number(status) });
          expect(ERRORS[code as keyof typeof ERRORS].status).toBe(Number(status));
        }
      }
      for (const { schema, example } of bodies) {
        const name = schema.$ref?.split("/").at(-1) ?? "";
        const shown = example ?? (document.components.schemas[name] as { example?: unknown } | undefined)?.example;
        expect([operationId, name, shown === undefined]).toEqual([operationId, name, false]);
        // Of this package, or without a name: checked by their own tests.
        if (["Health", "Readiness", ""].includes(name)) continue;
        expect([operationId, name, schemas.get(name)?.safeParse(shown).success]).toEqual([operationId, name, true]);
      }
    }
  });

  it("names for each route the kinds of token that may use it", () => {
    expect(operations.find(({ operationId }) => operationId === "killFlag")?.description).toContain(
      "Tokens of kind `admin`, `operator`.",
    );
    expect(operations.find(({ operationId }) => operationId === "health")?.description).toContain("Needs no token.");
  });
});

/** The schemas of the contracts by the names they have as components. */
const schemas: ReadonlyMap<string, z.ZodType> = new Map(
  Object.values(contracts).flatMap((value) => {
    const name = value instanceof z.ZodType ? z.globalRegistry.get(value)?.id : undefined;
    return name === undefined ? [] : [[name, value as z.ZodType] as const];
  }),
);

describe("/docs", () => {
  const assets = ["swagger-ui.css", "swagger-ui.js", "start.js", "favicon.png", "errors.css"];

  it("loads only what this server serves", async () => {
    const page = await under.request("GET", "/docs", { token: null });
    expect(page.headers.get("content-type")).toContain("text/html");
    const loaded = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target]) => target ?? "");
    expect(loaded).toHaveLength(4);
    for (const target of loaded) {
      expect(target).toMatch(/^\/docs\//);
      expect((await under.request("GET", target, { token: null })).status).toBe(200);
    }
    expect(page.text).not.toMatch(/https?:/);
    expect(page.text).not.toMatch(/<script>|<style|\son\w+=/);
  });

  it("starts without a validator or any other address", async () => {
    const start = await under.request("GET", "/docs/start.js", { token: null });
    expect(start.text).toContain('"url": "/openapi.json"');
    expect(start.text).toContain('"validatorUrl": null');
    expect(start.text).not.toMatch(/https?:/);
  });

  it("has a policy of its own that lets nothing else in", async () => {
    for (const target of ["/docs", "/docs/errors", ...assets.map((asset) => `/docs/${asset}`)]) {
      const policy = (await under.request("GET", target, { token: null })).headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self';");
      expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
    }
    expect((await under.request("GET", "/healthz")).headers.get("content-security-policy")).toBe(
      "default-src 'none'; frame-ancestors 'none'",
    );
  });

  it("serves no other file of the package", async () => {
    for (const asset of ["package.json", "swagger-initializer.js", "..%2fpackage.json", "index.html"]) {
      expect((await under.request("GET", `/docs/${asset}`, { token: null })).status).toBe(400);
    }
  });

  it("explains every error code at its anchor", async () => {
    const { text } = await under.request("GET", "/docs/errors", { token: null });
    for (const code of Object.keys(ERRORS)) expect(text).toContain(`id="${code}"`);
  });

  it("leads from the type of a problem to what is to be done about it", async () => {
    const { body } = await under.request("GET", "/api/v1/flags/nowhere");
    expect(body.code).toBe("flag_not_found");
    const address = new URL(String(body.type), `${under.url}/api/v1/flags/nowhere`);
    const page = await fetch(address);
    expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
    const text = await page.text();
    const section = text.split("<section ").find((part) => part.startsWith(`id="${address.hash.slice(1)}"`));
    const { status, meaning, remedy } = ERRORS.flag_not_found;
    for (const said of [`<dd>${status}</dd>`, meaning, remedy, "is refused again"]) expect(section).toContain(said);
    // Nothing that the policy would have to let in, and every link leads somewhere.
    expect(text).not.toMatch(/https?:|<script|<style|\s(?:on\w+|style)=/);
    for (const [, target = ""] of text.matchAll(/href="([^"#]+)"/g)) {
      expect([target, (await under.request("GET", target, { token: null })).status]).toEqual([target, 200]);
    }
    for (const [, anchor] of text.matchAll(/href="#([^"]+)"/g)) expect(text).toContain(`id="${anchor}"`);
  });

  it("can be switched off", async () => {
    const closed = await startServerUnderTest({ environment: { BUNTING_DOCS: "off" } });
    try {
      for (const target of ["/docs", "/docs/errors", "/openapi.json", "/"]) {
        expect((await closed.request("GET", target)).body.code).toBe("not_found");
      }
    } finally {
      await closed.dispose();
    }
  });
});

describe("the examples", () => {
  it("hold no token that could be taken for a real one", () => {
    expect(JSON.stringify(examples)).not.toMatch(/bnt_[a-z]+_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}/);
  });
});
