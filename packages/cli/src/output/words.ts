import type { Condition, ConditionValue, Json, Operator, Serve } from "@bunting/contracts";

/** 1234567 as `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 instance`, `2,413 instances`. */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A size of a file: `812 bytes`, `1.2 MB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return counted(bytes, "byte");
  const steps = bytes < 1e6 ? ([1e3, "kB"] as const) : bytes < 1e9 ? ([1e6, "MB"] as const) : ([1e9, "GB"] as const);
  return `${(bytes / steps[0]).toFixed(1)} ${steps[1]}`;
}

/** Milliseconds a person can compare: `0.4 ms`, `31 ms`, `1240 ms`, as decisions write them. */
export function formatMs(ms: number): string {
  if (ms < 0.1) return `${formatFigure(ms)} ms`;
  return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`;
}

/** Up to three decimals, none that say nothing. */
export function formatPercent(percent: number): string {
  return `${Math.round(percent * 1000) / 1000} %`;
}

/** A rate between 0 and 1, to three digits that say something: `1.25 %`, `0.031 %`. */
export function formatRate(rate: number): string {
  return `${formatFigure(rate * 100)} %`;
}

/** Three digits that say something, and no exponent: `1234`, `12.3`, `0.0123`. */
export function formatFigure(figure: number): string {
  if (!Number.isFinite(figure) || figure === 0) return String(figure);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(figure))));
  const text = figure.toFixed(Math.min(12, digits));
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A length of time as a person says it: `45 s`, `5 min`, `1 min 30 s`, `2 h 30 min`, `3 d`. */
export function formatSpan(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return inTwo(whole, [60, "min"], [1, "s"]);
  if (whole < 86_400) return inTwo(whole, [3600, "h"], [60, "min"]);
  return inTwo(whole, [86_400, "d"], [3600, "h"]);
}

function inTwo(seconds: number, [large, name]: [number, string], [small, smallName]: [number, string]): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${name}${rest === 0 ? "" : ` ${rest} ${smallName}`}`;
}

/** `2026-01-31T08:30:00.000Z` as `08:30:00`, where the day is clear. */
export function formatTime(instant: string): string {
  return instant.replace(/^.*T/, "").replace(/(\.\d+)?Z$/, "");
}

/** `2026-01-31T08:30:00.000Z` as `2026-01-31 08:30:00`, in UTC like everything the server says. */
export function formatInstant(instant: string): string {
  return instant.replace("T", " ").replace(/(\.\d+)?Z$/, "");
}

/** `12 s ago`. For lists where the exact instant would be noise; scripts take --json. */
export function formatAge(instant: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(instant)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A value of a flag, on one line, cut where it would not fit. */
export function formatValue(value: Json, width = 40): string {
  const text = JSON.stringify(value);
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

const VERBS: Readonly<Record<Operator, string>> = {
  equals: "is",
  not_equals: "is not",
  in: "is one of",
  not_in: "is none of",
  contains: "contains",
  starts_with: "starts with",
  ends_with: "ends with",
  greater: "is greater than",
  greater_or_equal: "is at least",
  less: "is less than",
  less_or_equal: "is at most",
  before: "is before",
  after: "is after",
  semver_equals: "is version",
  semver_greater: "is newer than version",
  semver_less: "is older than version",
  matches: "matches",
  cidr: "is in network",
  exists: "exists",
};

const VALUES_IN_WORDS = 5;

/** `country is one of FR, DE`. */
export function conditionInWords(condition: Condition): string {
  if ("segment" in condition) return `in segment ${condition.segment}`;
  const { attribute, op, values } = condition;
  if (op === "exists") return values[0] === false ? `${attribute} is absent` : `${attribute} is present`;
  const separator = op === "in" || op === "not_in" ? ", " : " or ";
  const shown = values.slice(0, VALUES_IN_WORDS).map(valueInWords).join(separator);
  const hidden = values.length - VALUES_IN_WORDS;
  return `${attribute} ${VERBS[op]} ${shown}${hidden > 0 ? ` and ${formatCount(hidden)} more` : ""}`;
}

export function conditionsInWords(conditions: readonly Condition[]): string {
  return conditions.length === 0 ? "everyone" : conditions.map(conditionInWords).join(" and ");
}

/** `on`, or `on 25 %, off 75 %`. */
export function serveInWords(serve: Serve): string {
  if ("variant" in serve) return serve.variant;
  return Object.entries(serve.split)
    .map(([variant, percent]) => `${variant} ${formatPercent(percent)}`)
    .join(", ");
}

/** Text that could be taken for a number, a boolean or several words stands in quotes. */
function valueInWords(value: ConditionValue): string {
  return typeof value === "string" && !/^[\p{L}_@/][^\s,]*$/u.test(value) ? JSON.stringify(value) : String(value);
}

/** What somebody wrote, on one line: a comment with a line feed must not look like an entry of the log of its own. */
export function inOneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ");
}
