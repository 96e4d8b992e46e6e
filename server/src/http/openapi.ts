import { ERRORS, type ErrorCode, problem } from "@bunting/contracts";
import { SENT_AT_HEADER, TOKEN_KINDS } from "@bunting/contracts/literals";
import { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { permits } from "../tokens/permission.ts";
import { problemOf } from "./problem.ts";
import { type AnyRoute, commonErrors } from "./route.ts";

/*
 * The document at /openapi.json. A schema of OpenAPI 3.1 is a JSON Schema 2020-12, which zod writes itself, recursive ones too;
 * the registry puts the rest together.
 */

type JsonObject = Record<string, unknown>;
type Registry = OpenAPIHono["openAPIRegistry"];
type Operation = Parameters<Registry["registerPath"]>[0];
type HeaderObject = { description: string; schema: { type: "string"; examples?: string[] } };

const REQUEST_ID = "req_4fTz0Rk81bQyVn6sXw2aLc";

export function openApiDocument(routes: readonly AnyRoute[], version: string, url: string | null): JsonObject {
  const { openAPIRegistry: registry, getOpenAPI31Document } = new OpenAPIHono();
  for (const [name, schema] of Object.entries(componentSchemas())) registry.registerComponent("schemas", name, schema);
  registry.registerComponent("securitySchemes", "token", {
    type: "http",
    scheme: "bearer",
    description: "A token of a kind that the route names: `Authorization: Bearer bnt_…`.",
  });
  for (const [name, header] of Object.entries(RESPONSE_HEADERS)) registry.registerComponent("headers", name, header);
  for (const route of routes) registry.registerPath(operationOf(route));
  const document = getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Bunting",
      version,
      description:
        "Feature flags that roll themselves back. Errors are problem documents (RFC 9457) with a stable `code`; lists page by " +
        "cursor; mutable resources carry an ETag; a POST with an `Idempotency-Key` may be repeated.",
    },
    servers: [{ url: url ?? "/" }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
  });
  return document as unknown as JsonObject;
}

const RESPONSE_HEADERS: Readonly<Record<string, HeaderObject>> = {
  "Request-Id": { description: "Names this request in the server's log.", schema: { type: "string" } },
  ETag: {
    description: 'Version of the resource as a strong entity tag: `"12"`.',
    schema: { type: "string", examples: ['"12"'] },
  },
  Location: { description: "Where the new resource is.", schema: { type: "string" } },
  "Bunting-Position": {
    description:
      "`<epoch>:<revision>` that the change reached. A change of several environments names each: " +
      "`<epoch>:<revision>;environment=<key>`, separated by commas.",
    schema: { type: "string", examples: ["k3Jd81:42"] },
  },
  [SENT_AT_HEADER]: {
    description: "When the answer was made, Unix ms by the server's clock.",
    schema: { type: "string", examples: ["1795143845678"] },
  },
  "Idempotency-Replayed": {
    description: "`true`: this is the stored answer to an earlier request with the same Idempotency-Key.",
    schema: { type: "string" },
  },
};

function operationOf(route: AnyRoute): Operation {
  const { method, path, operationId, summary, description, tag, access, success } = route;
  return {
    method,
    path,
    operationId,
    summary,
    description: [description, ...whoMay(access)].join("\n\n").trim(),
    tags: [tag],
    security: access === "open" ? [] : [{ token: [] }],
    parameters: parametersOf(route),
    ...(route.body && { requestBody: requestBodyOf(route.body) }),
    responses: {
      [success.status]: {
        description: success.description,
        headers: headersOf(route),
        ...((success.schema || success.mediaType) && {
          content: {
            ...(success.schema && { "application/json": media(success.schema, success.example) }),
            ...(success.mediaType && { [success.mediaType]: { schema: { type: "string" } } }),
          },
        }),
      },
      ...errorResponses(commonErrors(route)),
    },
  } as unknown as Operation;
}

function whoMay(access: AnyRoute["access"]): readonly string[] {
  if (access === "open") return ["Needs no token."];
  const kinds = TOKEN_KINDS.filter((kind) => {
    const actor = { token: "", kind, name: "", environments: null, roles: [], requestId: "" };
    return permits(actor, access, "any") === null;
  });
  return [`Tokens of kind ${kinds.map((kind) => `\`${kind}\``).join(", ")}.`];
}

function parametersOf(route: AnyRoute): JsonObject[] {
  const parameters = [...schemaParameters(route.params, "path"), ...schemaParameters(route.query, "query")];
  if (route.ifMatch) {
    parameters.push({
      name: "If-Match",
      in: "header",
      required: false,
      description:
        route.ifMatch === "required"
          ? "ETag of the version you have read, or `*`. Needed to replace what exists (428 without it)."
          : "ETag of the version you have read: the change is refused if there is a newer one.",
      schema: { type: "string", examples: ['"12"'] },
    });
  }
  if (route.repeatable) {
    parameters.push({
      name: "Idempotency-Key",
      in: "header",
      required: false,
      description: "Any text of your choice. For 24 hours, the same request with the same key is carried out once.",
      schema: { type: "string", minLength: 1, maxLength: 255 },
    });
  }
  return parameters;
}

function schemaParameters(schema: z.ZodObject | undefined, place: "path" | "query"): JsonObject[] {
  if (!schema) return [];
  const { properties, required = [] } = schemaOf(schema) as { properties: JsonObject; required?: string[] };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    schema: property,
  }));
}

function requestBodyOf({
  schema,
  mediaTypes = ["application/json"],
  example,
}: NonNullable<AnyRoute["body"]>): JsonObject {
  return { required: true, content: Object.fromEntries(mediaTypes.map((type) => [type, media(schema, example)])) };
}

function media(schema: z.ZodType, example: unknown): JsonObject {
  return { schema: schemaOf(schema), ...(example !== undefined && { example }) };
}

function headersOf({ repeatable, success }: AnyRoute): JsonObject {
  const names: string[] = ["Request-Id", ...(success.headers ?? [])];
  if (repeatable) names.push("Idempotency-Replayed");
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** One response per status, one example per code. */
function errorResponses(codes: readonly ErrorCode[]): JsonObject {
  const statuses = [...new Set(codes.map((code) => ERRORS[code].status))].sort((one, other) => one - other);
  return Object.fromEntries(
    statuses
      .map((status) => [status, codes.filter((code) => ERRORS[code].status === status)] as const)
      .map(([status, group]) => [
        status,
        {
          description: group.map((code) => `\`${code}\`: ${ERRORS[code].meaning}`).join("\n\n"),
          headers: { "Request-Id": { $ref: "#/components/headers/Request-Id" } },
          content: {
            "application/problem+json": {
              schema: schemaOf(problem),
              examples: Object.fromEntries(
                group.map((code) => [code, { value: problemOf({ code, detail: ERRORS[code].meaning }, REQUEST_ID) }]),
              ),
            },
          },
        },
      ]),
  );
}

function componentSchemas(): Record<string, JsonObject> {
  const { schemas } = z.toJSONSchema(z.globalRegistry, {
    // What may be left out of a request has a default; a response leaves nothing out, so this view is right for both.
    io: "input",
    unrepresentable: "any",
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $id: _id, $schema: _schema, id: _name, ...schema }]) => [name, schema]),
  );
}

/** By name where the schema has one, else as it is. */
function schemaOf(schema: z.ZodType): JsonObject {
  const name = z.globalRegistry.get(schema)?.id;
  if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
  const { $schema: _schema, $defs: _defs, ...inline } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  // Whatever has a name was moved to $defs, under that name, which is a component here.
  return JSON.parse(JSON.stringify(inline).replaceAll('"#/$defs/', '"#/components/schemas/')) as JsonObject;
}
