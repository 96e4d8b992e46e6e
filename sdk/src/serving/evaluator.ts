import { type Subject, variantIndexOf } from "@bunting/engine";
import type { Slots } from "../telemetry/slots.ts";
import type { Evaluation, Json, User, Widened } from "../types.ts";
import { NOT_FORCED, type ServedFlag, type ServingTable } from "./table.ts";

/** What evaluations read. `table` is replaced as a whole (LC-30). */
export interface Serving {
  readonly table: ServingTable;
  readonly slots: Slots;
  /** How far the state may be behind: asked by `evaluate` only, because it reads the clock. */
  freshness(): { readonly ageMs: number | null; readonly stale: boolean };
}

export interface Evaluator<Who> {
  isEnabled(key: string, user?: Who): boolean;
  variant(key: string, user?: Who): string | null;
  value<T extends Json>(key: string, user: Who | undefined, fallback: T): Widened<T>;
  evaluate(key: string, user?: Who): Evaluation;
}

/** Nobody in particular: no targeting key, no attributes. */
const NOBODY: Subject = Object.freeze({});

/**
 * The hot path (LC-50). One look-up by name, one decision, one counter: no promise, no clock, no string is made, and nothing
 * is allocated by `isEnabled`, `variant` and `value`.
 */
export function createEvaluator<Who>(serving: Serving, identify: ((user: Who) => User) | null): Evaluator<Who> {
  const subjectOf = (user: Who | undefined): Subject => {
    if (user === undefined || user === null) return NOBODY;
    return identify === null ? (user as Subject) : identified(identify, user);
  };
  return {
    isEnabled(key, user) {
      const served = serving.table.flags.get(key);
      if (served === undefined) return missing(serving, key) ?? false;
      const index = indexFor(served, subjectOf(user));
      count(served, index);
      return served.truths[index] === true;
    },
    variant(key, user) {
      const served = serving.table.flags.get(key);
      if (served === undefined) return variantOfMissing(missing(serving, key));
      const index = indexFor(served, subjectOf(user));
      count(served, index);
      return served.variants[index] ?? null;
    },
    value<T extends Json>(key: string, user: Who | undefined, fallback: T) {
      const served = serving.table.flags.get(key);
      if (served === undefined) {
        const forced = missing(serving, key);
        return (typeof fallback === "boolean" && forced !== undefined ? forced : fallback) as Widened<T>;
      }
      const index = indexFor(served, subjectOf(user));
      const value = served.values[index];
      // Not served, so not counted: the application goes on with its own default.
      if (!isOfTypeOf(fallback, value)) return fallback as Widened<T>;
      count(served, index);
      return value as Widened<T>;
    },
    evaluate(key, user) {
      const { table } = serving;
      const served = table.flags.get(key);
      const { ageMs, stale } = serving.freshness();
      const { revision } = table;
      if (served === undefined) return { ...evaluateMissing(serving, key), revision, ageMs };
      const decision = served.forced === NOT_FORCED ? served.flag.decide(subjectOf(user)) : served.forced;
      count(served, variantIndexOf(decision));
      const { value, variant, reason, detail, errorCode } = served.flag.describe(decision);
      if (errorCode !== undefined) return { value, variant, reason, detail, revision, ageMs, errorCode };
      const isStale = stale && served.forced === NOT_FORCED;
      return { value, variant, reason: isStale ? "STALE" : reason, detail, revision, ageMs };
    },
  };
}

function indexFor(served: ServedFlag, subject: Subject): number {
  return variantIndexOf(served.forced === NOT_FORCED ? served.flag.decide(subject) : served.forced);
}

function count({ counts }: ServedFlag, index: number): void {
  counts[index] = (counts[index] as number) + 1;
}

/** An application's mapping may throw; an evaluation must not. Whoever it was is then nobody. */
function identified<Who>(identify: (user: Who) => User, user: Who): Subject {
  try {
    return identify(user) ?? NOBODY;
  } catch {
    return NOBODY;
  }
}

/** Not in the ruleset, or no ruleset at all: then a boolean override still counts (LC-56). */
function missing({ table, slots }: Serving, key: string): boolean | undefined {
  if (table.revision === null) return table.booleanOverride(key);
  slots.countUnknown(key);
  return undefined;
}

function variantOfMissing(forced: boolean | undefined): string | null {
  return forced === undefined ? null : forced ? "on" : "off";
}

function evaluateMissing(serving: Serving, key: string): Omit<Evaluation, "revision" | "ageMs"> {
  const forced = missing(serving, key);
  if (forced !== undefined) {
    return { value: forced, variant: variantOfMissing(forced), reason: "STATIC", detail: "override" };
  }
  const nothing = { value: null, variant: null, reason: "ERROR" } as const;
  return serving.table.revision === null
    ? { ...nothing, detail: "not_ready", errorCode: "PROVIDER_NOT_READY" }
    : { ...nothing, detail: "flag_not_found", errorCode: "FLAG_NOT_FOUND" };
}

/** A default of null takes anything: it says that the caller knows what it gets. */
function isOfTypeOf(fallback: Json, value: Json | undefined): boolean {
  if (fallback === null) return value !== undefined;
  if (typeof value !== typeof fallback || value === null) return false;
  return typeof fallback !== "object" || Array.isArray(value) === Array.isArray(fallback);
}
