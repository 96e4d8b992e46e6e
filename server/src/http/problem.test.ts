import { ERRORS, type ErrorCode, flagDraft, patchConfigurationRequest, problem, serve } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { invalid, problemOf, problemResponse } from "./problem.ts";

function errorsOf(schema: z.ZodType, value: unknown) {
  const { error } = schema.safeParse(value);
  if (!error) throw new Error("It was accepted.");
  return invalid("body", error).errors ?? [];
}

describe("a problem document", () => {
  it.each(Object.keys(ERRORS) as ErrorCode[])(
    "of %s has the form of RFC 9457 and the status of the catalogue",
    async (code) => {
      const response = problemResponse({ code, detail: "what happened" }, "req_1");
      expect(response.status).toBe(ERRORS[code].status);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      const body = problem.parse(await response.json());
      expect(body).toEqual(problemOf({ code, detail: "what happened" }, "req_1"));
      expect(body).toMatchObject({ code, detail: "what happened", requestId: "req_1", status: response.status });
    },
  );

  it("asks for a token where one is missing, and to come back where the server cannot answer now", () => {
    expect(problemResponse({ code: "unauthenticated", detail: "" }, "r").headers.get("www-authenticate")).toBe(
      'Bearer realm="bunting"',
    );
    expect(problemResponse({ code: "storage_read_only", detail: "" }, "r").headers.get("retry-after")).toBe("1");
    expect(problemResponse({ code: "flag_not_found", detail: "" }, "r").headers.get("retry-after")).toBeNull();
  });
});

describe("field errors", () => {
  it("point at the field, escaped as RFC 6901 says", () => {
    expect(errorsOf(z.object({ "a/b": z.object({ "m~n": z.number() }) }), { "a/b": { "m~n": "x" } })[0]?.path).toBe(
      "/a~1b/m~0n",
    );
  });

  it("point at each unknown field", () => {
    expect(errorsOf(flagDraft, { key: "a", one: 1, two: 2 }).map(({ path }) => path)).toEqual(["/one", "/two"]);
  });

  it("speak of the alternative that was meant", () => {
    const errors = errorsOf(serve, { split: { on: "half" } });
    expect(errors.map(({ path }) => path)).toEqual(["/split/on"]);
  });

  it("do not repeat what was sent", () => {
    const secret = "hunter2-".repeat(50);
    for (const value of [{ key: secret }, { key: "a", type: secret }, { key: "a", tags: [secret.repeat(10)] }]) {
      expect(JSON.stringify(errorsOf(flagDraft, value))).not.toContain("hunter2");
    }
    expect(patchConfigurationRequest.safeParse({ anything: 1 }).success).toBe(true);
  });

  it("name parameters by where they stand", () => {
    const { error } = z.strictObject({ limit: z.number() }).safeParse({ limit: "x" });
    if (!error) throw new Error("It was accepted.");
    expect(invalid("query", error)).toMatchObject({ code: "invalid_request", errors: [{ path: "query.limit" }] });
  });
});
