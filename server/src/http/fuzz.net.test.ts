import { ERRORS } from "@bunting/contracts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

/*
 * Whatever arrives at any route, the answer is one that is documented for it, and never a 500. Requests are made of
 * /openapi.json: its examples, damaged in one place or another, beside plain nonsense.
 */

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly query: readonly string[];
  readonly example: unknown;
  readonly statuses: readonly string[];
}

interface Document {
  readonly paths: Record<
    string,
    Record<
      string,
      {
        parameters: { name: string; in: string }[];
        requestBody?: { content: Record<string, { example?: unknown; schema: { $ref?: string } }> };
        responses: Record<string, unknown>;
      }
    >
  >;
  readonly components: { schemas: Record<string, { example?: unknown }> };
}

let under: ServerUnderTest;
let operations: readonly Operation[];

beforeAll(async () => {
  under = await startServerUnderTest({ environment: { BUNTING_TRUSTED_PROXIES: "1" } });
  await under.request("POST", "/api/v1/flags", { body: { key: "fuzzed" } });
  const document = JSON.parse((await under.request("GET", "/openapi.json")).text) as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters, requestBody, responses }]) => {
      const [media] = Object.values(requestBody?.content ?? {});
      const name = media?.schema.$ref?.split("/").at(-1) ?? "";
      return {
        method: method.toUpperCase(),
        path,
        query: parameters.filter((parameter) => parameter.in === "query").map((parameter) => parameter.name),
        example: media && (media.example ?? document.components.schemas[name]?.example ?? {}),
        statuses: Object.keys(responses),
      };
    }),
  );
});
afterAll(() => under.dispose());

const nonsense = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom(null, -1, 1e308, "", "x".repeat(5_000), [], {}),
);

/** Puts a value somewhere into a copy of a document. */
function damage(document: unknown, steps: readonly number[], value: unknown): unknown {
  if (typeof document !== "object" || document === null) return value;
  const [step = 0, ...rest] = steps;
  const names = Object.keys(document);
  const name = names[step % (names.length + 1)] ?? "unknown";
  const inner = rest.length === 0 ? value : damage((document as Record<string, unknown>)[name], rest, value);
  if (Array.isArray(document)) return document.length === 0 ? [inner] : document.with(step % document.length, inner);
  return { ...document, [name]: inner };
}

const segment = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("production", "fuzzed", "on", "1", "staff", "000000000000") },
  fc
    .string({ unit: "binary", minLength: 1, maxLength: 20 })
    .filter((text) => text.isWellFormed() && !/^\.{1,2}$/.test(text)),
);

const request = fc.record({
  operation: fc.nat(),
  segments: fc.array(segment, { minLength: 3, maxLength: 3 }),
  query: fc.option(
    fc.tuple(
      fc.nat(),
      fc.string({ unit: "binary", maxLength: 12 }).filter((text) => text.isWellFormed()),
    ),
  ),
  steps: fc.array(fc.nat({ max: 12 }), { maxLength: 5 }),
  value: nonsense,
  whole: fc.boolean(),
  ifMatch: fc.option(fc.constantFrom("*", '"1"', '"2"', "nonsense", 'W/"1"')),
});

describe("whatever arrives", () => {
  it("is answered with a documented status, and never as a defect", { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ operation: index, segments, query, steps, value, whole, ifMatch }) => {
        const operation = operations[index % operations.length];
        // Its environments are what the test works in; and whether a busy machine is ready is not the question here.
        if (!operation || operation.path === "/readyz") return;
        if (operation.method === "DELETE" && operation.path.endsWith("{environment}")) return;
        let next = 0;
        const path = operation.path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(segments[next++] ?? ""));
        const name = operation.query[(query?.[0] ?? 0) % (operation.query.length + 1)] ?? "unknown";
        // A wait would only take its time.
        const search = query && name !== "waitMs" ? `?${name}=${encodeURIComponent(query[1])}` : "";
        const body =
          operation.example === undefined ? undefined : whole ? value : damage(operation.example, steps, value);
        const reply = await under.request(operation.method, path + search, {
          ...(body !== undefined && { body: JSON.stringify(body) }),
          headers: { ...(ifMatch !== null && { "if-match": ifMatch }) },
        });
        const isDocumented = operation.statuses.includes(String(reply.status));
        // A segment that is created, and a path that is none.
        const isKnown = isDocumented || [201, 404].includes(reply.status);
        expect([operation.method, path, reply.status < 500, isKnown, reply.text]).toEqual([
          operation.method,
          path,
          true,
          true,
          expect.any(String),
        ]);
        if (reply.status >= 400) expect(Object.keys(ERRORS)).toContain(reply.body.code);
      }),
      { numRuns: 1_000 },
    );
    expect(under.log.filter((line) => line.includes("request failed"))).toEqual([]);
    expect((await under.request("GET", "/api/v1/audit/verify")).body).toMatchObject({ intact: true, damagedRows: [] });
  });
});
