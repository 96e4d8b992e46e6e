import {
  type AttributeCondition,
  type Condition,
  type ConditionValue,
  type Json,
  KEY_PATTERN,
  metricKey,
  OPERATORS,
  type Operator,
  type SegmentKey,
} from "@bunting/contracts";
import { InvalidArgumentError } from "commander";

/*
 * Words of the command line to values. Only the form is checked here: whether a variant exists or a split adds up is decided by
 * the server, which is the only one that knows.
 */

/** Refused here, because a key with a slash in it would become another path. */
export function parseKey(text: string): string {
  if (!KEY_PATTERN.test(text)) {
    throw new InvalidArgumentError(
      "A key starts with a letter or digit and holds letters, digits, dots, hyphens and underscores.",
    );
  }
  return text;
}

export function collectKeys(text: string, previous: readonly string[] = []): string[] {
  return [...previous, ...parseList(text).map(parseKey)];
}

/** `a,b` and repeated options both make lists. */
export function collectList(text: string, previous: readonly string[] = []): string[] {
  return [...previous, ...parseList(text)];
}

export function collect(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

function parseList(text: string): string[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.includes("")) throw new InvalidArgumentError("Give names separated by commas.");
  return items;
}

/** `25`, `0.125`, `25%`. */
export function parsePercent(text: string): number {
  const percent = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (!(percent >= 0 && percent <= 100)) throw new InvalidArgumentError("Give a percentage between 0 and 100.");
  return percent;
}

/** `1,5,25,50,100`, as given. */
export function parsePercents(text: string): number[] {
  return parseList(text).map(parsePercent);
}

export function collectPercents(text: string, previous: readonly number[] = []): number[] {
  return [...previous, ...parsePercents(text)];
}

/** A share between 0 and 1: `0.01`, `1%`. */
export function parseRate(text: string): number {
  const rate = text.endsWith("%") ? parsePercent(text) / 100 : /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(rate >= 0 && rate <= 1))
    throw new InvalidArgumentError("Give a share between 0 and 1, or a percentage like 1%.");
  return rate;
}

/** Anything finite: `12`, `-0.5`, `1e3`. */
export function parseNumber(text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(number)) throw new InvalidArgumentError("Give a number.");
  return number;
}

/** The form of a metric, as in plans and in `track`. */
export function parseMetric(text: string): string {
  if (!metricKey.safeParse(text).success) {
    throw new InvalidArgumentError("A metric is named in lower case, digits and underscores.");
  }
  return text;
}

/** `on=25,off=75` */
export function parseSplit(text: string): Record<string, number> {
  const entries = parseList(text).map((item) => {
    const { name, value } = parseAssignment(item, "on=25,off=75");
    return [parseKey(name), parsePercent(value)] as const;
  });
  return uniqueEntries(entries);
}

/** Seconds, `10` or `0.5`. A bare `--wait` has its own default. */
export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(seconds >= 0 && seconds <= 3600))
    throw new InvalidArgumentError(
      "Give a number of seconds, at most 3600. A bare --wait stands at the end, or is followed by another option.",
    );
  return seconds;
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError("Give a whole number from 1 on.");
  return Number(text);
}

/** RFC 3339 with an offset, or a span from now: `30d`, `12h`. */
export function parseExpiry(text: string, nowMs: number): string {
  const span = /^(\d{1,5})(d|h)$/.exec(text);
  const at = span ? nowMs + Number(span[1]) * (span[2] === "d" ? 86_400_000 : 3_600_000) : Date.parse(text);
  if (Number.isNaN(at) || !(span || /T.*(Z|[+-]\d\d:\d\d)$/i.test(text))) {
    throw new InvalidArgumentError("Give a span like 90d or 12h, or an instant like 2027-01-31T00:00:00Z.");
  }
  return new Date(at).toISOString();
}

export interface Assignment {
  readonly name: string;
  readonly value: string;
}

/** `name=value`; the value may hold further equals signs. */
function parseAssignment(text: string, example = "name=value"): Assignment {
  const index = text.indexOf("=");
  if (index < 1) throw new InvalidArgumentError(`Write it as ${example}.`);
  return { name: text.slice(0, index).trim(), value: text.slice(index + 1).trim() };
}

export function collectAssignments(text: string, previous: readonly Assignment[] = []): Assignment[] {
  return [...previous, parseAssignment(text)];
}

/** Attributes of a context: `country=FR`, `age=31`, `beta=true`, `id="007"`, `roles=["admin","dev"]`. */
export function attributesOf(assignments: readonly Assignment[]): Record<string, Json> {
  return uniqueEntries(assignments.map(({ name, value }) => [name, parseValue(value)] as const));
}

/** JSON where it is JSON, else the text itself: `true` and `12` are what they look like, `"12"` in quotes stays text. */
export function parseValue(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** Operators that compare text, where `1.20` must not become a number. */
const TEXT_OPERATORS: ReadonlySet<Operator> = new Set<Operator>([
  "contains",
  "starts_with",
  "ends_with",
  "semver_equals",
  "semver_greater",
  "semver_less",
  "matches",
  "cidr",
]);

/** `country in FR,DE`, `age greater 17`, `email ends_with @example.com`, `plan exists`, `segment:staff`. */
export function parseCondition(text: string): Condition {
  const trimmed = text.trim();
  if (trimmed.startsWith("segment:")) return { segment: parseKey(trimmed.slice("segment:".length)) as SegmentKey };
  const [, attribute, op, rest = ""] = /^(\S+)\s+(\S+)(?:\s+(.+))?$/s.exec(trimmed) ?? [];
  if (attribute === undefined || op === undefined || !isOperator(op)) {
    throw new InvalidArgumentError(
      `Write it as "<attribute> <operator> <values>" or segment:<key>. Operators: ${OPERATORS.join(", ")}.`,
    );
  }
  return { attribute, op, values: valuesOf(op, rest) };
}

export function collectConditions(text: string, previous: readonly Condition[] = []): Condition[] {
  return [...previous, parseCondition(text)];
}

/** Segments do not nest. */
export function collectAttributeConditions(
  text: string,
  previous: readonly AttributeCondition[] = [],
): AttributeCondition[] {
  const condition = parseCondition(text);
  if ("segment" in condition) throw new InvalidArgumentError("Segments do not nest.");
  return [...previous, condition];
}

function isOperator(word: string): word is Operator {
  return (OPERATORS as readonly string[]).includes(word);
}

/** A pattern is one value, commas and all. */
function valuesOf(op: Operator, text: string): ConditionValue[] {
  if (text === "" && op === "exists") return [true];
  if (text === "") throw new InvalidArgumentError(`"${op}" needs at least one value.`);
  if (op === "matches") return [text];
  return splitValues(text).map((item) => (TEXT_OPERATORS.has(op) ? unquoted(item) : scalarOf(item)));
}

/** At commas, except within a value that stands in double quotes: `"Paris, France",Lyon`. */
function splitValues(text: string): string[] {
  const items = Array.from(`${text},`.matchAll(/\s*("(?:\\.|[^"\\])*"(?=\s*,)|[^,]*)\s*,/gy), ([, item = ""]) =>
    item.trim(),
  );
  if (items.includes("")) throw new InvalidArgumentError("Give values separated by commas.");
  return items;
}

function scalarOf(text: string): ConditionValue {
  const value = parseValue(text);
  return typeof value === "number" || typeof value === "boolean" || typeof value === "string" ? value : text;
}

function unquoted(text: string): string {
  const value = text.startsWith('"') ? parseValue(text) : text;
  return typeof value === "string" ? value : text;
}

/** An object from entries of which no two have the same name. */
export function uniqueEntries<Value>(entries: readonly (readonly [string, Value])[]): Record<string, Value> {
  const unique = new Map(entries);
  if (unique.size < entries.length) throw new InvalidArgumentError("Each name can be given once.");
  return Object.fromEntries(unique);
}
