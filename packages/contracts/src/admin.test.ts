import { describe, expect, it } from "vitest";
import {
  evaluateRequest,
  killManyRequest,
  killRequest,
  page,
  pageQuery,
  patchConfigurationRequest,
  reshuffleRequest,
  waitQuery,
} from "./admin.ts";
import { LIMITS } from "./literals.ts";
import { token } from "./token.ts";

const accepts = (schema: { safeParse(value: unknown): { success: boolean } }, value: unknown): boolean =>
  schema.safeParse(value).success;

describe("a kill", () => {
  it("needs a reason, and takes nothing else", () => {
    expect(accepts(killRequest, { reason: "p99 at 4 s" })).toBe(true);
    expect(accepts(killRequest, {})).toBe(false);
    expect(accepts(killRequest, { reason: "" })).toBe(false);
    expect(accepts(killRequest, { reason: "x".repeat(LIMITS.reasonBytes + 1) })).toBe(false);
    expect(accepts(killRequest, { reason: "x", until: "tomorrow" })).toBe(false);
  });

  it("of many names a tag or flags, not both and not neither", () => {
    const reason = "redis is down";
    expect(accepts(killManyRequest, { tag: "redis", reason })).toBe(true);
    expect(accepts(killManyRequest, { flags: ["a", "b"], reason })).toBe(true);
    expect(accepts(killManyRequest, { tag: "redis", flags: ["a"], reason })).toBe(false);
    expect(accepts(killManyRequest, { flags: [], reason })).toBe(false);
    expect(accepts(killManyRequest, { reason })).toBe(false);
    expect(accepts(killManyRequest, { tag: "redis" })).toBe(false);
  });
});

it("a reshuffle draws a salt of its own unless a cohort is named", () => {
  expect(reshuffleRequest.parse({ reason: "x" })).toEqual({ reason: "x", cohort: null });
  expect(accepts(reshuffleRequest, { reason: "x", cohort: "" })).toBe(false);
});

describe("a query", () => {
  it("pages by 50 unless it says otherwise", () => expect(pageQuery.parse({})).toEqual({ limit: 50 }));

  it.each([
    ["1", true],
    [String(LIMITS.pageSize), true],
    [String(LIMITS.pageSize + 1), false],
    ["0", false],
    ["-1", false],
    ["1.5", false],
    ["many", false],
  ])("asks for %s to a page", (limit, good) => {
    expect(accepts(pageQuery, { limit })).toBe(good);
  });

  it.each([
    [undefined, true],
    ["0", true],
    [String(LIMITS.waitMs), true],
    [String(LIMITS.waitMs + 1), false],
    ["-1", false],
    ["soon", false],
  ])("waits for receipts for %s ms", (waitMs, good) => {
    expect(accepts(waitQuery, waitMs === undefined ? {} : { waitMs })).toBe(good);
  });
});

it("a page ends where its cursor is null", () => {
  const tokens = page(token, "TokensForThisTest");
  expect(accepts(tokens, { items: [], nextCursor: null })).toBe(true);
  expect(accepts(tokens, { items: [] })).toBe(false);
});

it("a merge patch is an object of JSON: what it does to the document is judged after it was merged", () => {
  expect(accepts(patchConfigurationRequest, { pins: null, fallthrough: { split: { on: 25 } } })).toBe(true);
  expect(accepts(patchConfigurationRequest, [])).toBe(false);
  expect(accepts(patchConfigurationRequest, null)).toBe(false);
});

it("an evaluation names a context, and flags if not all are meant", () => {
  expect(accepts(evaluateRequest, { context: { key: "u-1" } })).toBe(true);
  expect(accepts(evaluateRequest, { context: { key: "u-1" }, flags: ["a"] })).toBe(true);
  expect(accepts(evaluateRequest, { flags: ["a"] })).toBe(false);
  expect(accepts(evaluateRequest, { context: {}, flags: [] })).toBe(false);
  expect(accepts(evaluateRequest, { context: {}, user: "u-1" })).toBe(false);
});
