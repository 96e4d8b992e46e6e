import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorDefinition } from "./errors.ts";
import { CLOSE_CODES } from "./literals.ts";

const catalogue: readonly (readonly [string, ErrorDefinition])[] = Object.entries(ERRORS);
const closing = catalogue.flatMap(([code, { close }]) => (close === undefined ? [] : [{ code, close }]));

/** The codes of the errors that do not keep a rule: what a failure shows. */
const offenders = (keeps: (definition: ErrorDefinition, code: string) => boolean): string[] =>
  catalogue.filter(([code, definition]) => !keeps(definition, code)).map(([code]) => code);

describe("every error", () => {
  it("has a name in snake case that leaves room in a close reason (123 bytes)", () => {
    expect(offenders((_, code) => /^[a-z]+(_[a-z]+)*$/.test(code) && code.length <= 64)).toEqual([]);
  });

  it.each(["meaning", "normal", "remedy"] as const)("gives its %s in a sentence", (part) => {
    expect(offenders((definition) => /^[`A-Z][^\n]+\.$/.test(definition[part]))).toEqual([]);
  });

  it("says with its remedy how it stands, where there is nothing to do", () => {
    expect(offenders(({ remedy }) => remedy !== "Nothing.")).toEqual([]);
  });

  it("refuses with a status for refusals", () => {
    expect(offenders(({ status }) => Number.isInteger(status) && status >= 400 && status < 600)).toEqual([]);
  });

  it("is retryable if the fault is the server's", () => {
    expect(offenders(({ status, retryable }) => status < 500 || retryable)).toEqual([]);
  });

  it("is not retryable if the request itself must change first", () => {
    const final = new Set([401, 403, 404, 405, 412, 413, 415, 422, 426, 428]);
    expect(offenders(({ status, retryable }) => !final.has(status) || !retryable)).toEqual([]);
  });
});

describe("close codes", () => {
  it("mean one error each", () => {
    expect(new Set(closing.map(({ close }) => close)).size).toBe(closing.length);
  });

  it("are all in CLOSE_CODES", () => {
    expect(Object.values(CLOSE_CODES)).toEqual(expect.arrayContaining(closing.map(({ close }) => close)));
  });

  it("are all explained by an error, except the two with which nothing is wrong", () => {
    const unexplained = Object.entries(CLOSE_CODES).filter(([, code]) => !closing.some(({ close }) => close === code));
    expect(unexplained.map(([name]) => name)).toEqual(["NORMAL", "GOING_AWAY"]);
  });

  it("lie where RFC 6455 lets an application choose, or where the registry defines them", () => {
    expect(closing.filter(({ close }) => close !== 1012 && (close < 4400 || close > 4599))).toEqual([]);
  });

  it("from 4500 on are worth a quick retry", () => {
    expect(offenders(({ close, retryable }) => close === undefined || close < 4500 || retryable)).toEqual([]);
  });
});
