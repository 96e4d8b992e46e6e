import { z } from "zod";
import { LIMITS, RESERVED_KEYS } from "./literals.ts";

const reserved: ReadonlySet<string> = new Set(RESERVED_KEYS);

/** The form of every key a caller chooses: it can stand in a URL path, an environment variable and a log line. */
export const KEY_PATTERN: RegExp = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

const key = (noun: string) =>
  z
    .string()
    .regex(
      KEY_PATTERN,
      `A ${noun} starts with a letter or digit and holds at most ${LIMITS.keyCharacters} letters, digits, dots, hyphens and underscores.`,
    )
    .refine((text) => !reserved.has(text), `This name is reserved. Choose another ${noun}.`);

/** Names a flag, in every environment. Never reusable, not even after archiving. */
export const flagKey = key("flag key").brand<"FlagKey">();
export type FlagKey = z.infer<typeof flagKey>;

/** Names one outcome of a flag. */
export const variantKey = key("variant key").brand<"VariantKey">();
export type VariantKey = z.infer<typeof variantKey>;

export const segmentKey = key("segment key").brand<"SegmentKey">();
export type SegmentKey = z.infer<typeof segmentKey>;

export const environmentKey = key("environment key").brand<"EnvironmentKey">();
export type EnvironmentKey = z.infer<typeof environmentKey>;

/** Names a rule within its configuration: it appears in the `detail` of an evaluation. */
export const ruleId = key("rule id").brand<"RuleId">();
export type RuleId = z.infer<typeof ruleId>;

/** Text with a limit in UTF-8 bytes, without NUL and lone surrogates (neither survives storage and transport unchanged). */
export const text = (maximumBytes: number) =>
  z
    .string()
    .refine((value) => utf8Length(value) <= maximumBytes, `At most ${maximumBytes} bytes of UTF-8.`)
    .refine((value) => !value.includes("\0"), "NUL characters are not allowed.")
    .refine((value) => value.isWellFormed(), "Lone surrogates are not allowed.");

function utf8Length(value: string): number {
  let length = 0;
  for (const character of value) {
    const point = character.codePointAt(0) as number;
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}

/** An instant as an RFC 3339 string in UTC with milliseconds. */
export const instant = z.iso.datetime();

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/**
 * Any JSON value. One schema for all, with a name. `z.json()` says the same, and asks five schemas about each number of a list:
 * on a megabyte of them that held a server twenty times as long.
 */
export const json = z
  .custom<Json>(isJson, "Expected a JSON value.")
  .register(z.globalRegistry, { id: "Json", description: "Any JSON value." });

function isJson(value: unknown): value is Json {
  if (typeof value === "number") return Number.isFinite(value);
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value !== "object") return false;
  if (Array.isArray(value)) return value.every(isJson);
  return isPlain(value) && Object.values(value).every(isJson);
}

/** Of this realm or another: what JSON.parse makes, and object literals. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
