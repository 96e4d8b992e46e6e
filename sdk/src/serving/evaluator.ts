import { type Decision, type Subject, variantIndexOf } from "@bunting/engine";
import type { Slots } from "../telemetry/slots.ts";
import type { Evaluation, Json, User, Widened } from "../types.ts";
import { evaluateMissing, missing, variantOfMissing } from "./missing.ts";
import { createSubjectOf } from "./subject.ts";
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

/**
 * The hot path (LC-50). One look-up by name, one decision, one counter: no promise, no clock, no string is made, and nothing
 * is allocated by `isEnabled`, `variant` and `value`. A flag in a running rollout counts its evidence on the way.
 */
export function createEvaluator<Who>(serving: Serving, identify: ((user: Who) => User) | null): Evaluator<Who> {
  const subjectOf = createSubjectOf(identify);
  // A loop over users asks for one flag again and again: comparing two references takes a fifth of a look-up's time.
  let lastKey = "";
  let lastTable: ServingTable | null = null;
  let lastServed: ServedFlag | undefined;
  const lookUp = (key: string): ServedFlag | undefined =>
    key === lastKey && serving.table === lastTable ? lastServed : find(key);
  /** Apart from {@link lookUp}, which is compiled into the caller: what is seldom run would take room there. */
  const find = (key: string): ServedFlag | undefined => {
    const { table } = serving;
    lastKey = key;
    lastTable = table;
    lastServed = table.flags.get(key);
    return lastServed;
  };
  /** Decides and counts: which variant is served. */
  const serveTo = (served: ServedFlag, user: Who | undefined): number => {
    const subject = subjectOf(user);
    const { flag, scope } = served;
    // Three ways that end in one count, and no helper between: a call here is two nanoseconds of seventy.
    let index: number;
    if (served.isPlain) index = variantIndexOf(flag.decide(subject));
    else if (scope !== null) index = scope.serve(flag.decide(subject));
    else index = variantIndexOf(served.forced);
    count(served, index);
    return index;
  };
  return {
    isEnabled(key, user) {
      const served = lookUp(key);
      if (served === undefined) return missing(serving, key) ?? false;
      return served.truths[serveTo(served, user)] === true;
    },
    variant(key, user) {
      const served = lookUp(key);
      if (served === undefined) return variantOfMissing(missing(serving, key));
      return served.variants[serveTo(served, user)] ?? null;
    },
    value<T extends Json>(key: string, user: Who | undefined, fallback: T) {
      const served = lookUp(key);
      if (served === undefined) {
        const forced = missing(serving, key);
        return (typeof fallback === "boolean" && forced !== undefined ? forced : fallback) as Widened<T>;
      }
      const decision = decide(served, subjectOf(user));
      // Not served, so not counted: the application goes on with its own default.
      if (!isOfTypeOf(fallback, served.values[variantIndexOf(decision)])) return fallback as Widened<T>;
      const index = serve(served, decision);
      if (index === variantIndexOf(decision)) return served.values[index] as Widened<T>;
      return orFallback(served.values[index], fallback) as Widened<T>;
    },
    evaluate(key, user) {
      const { table } = serving;
      const served = table.flags.get(key);
      const { ageMs, stale } = serving.freshness();
      const { revision } = table;
      if (served === undefined) return { ...evaluateMissing(serving, key), revision, ageMs };
      const decision = decide(served, subjectOf(user));
      const index = serve(served, decision);
      const isStale = stale && served.forced === NOT_FORCED;
      if (index !== variantIndexOf(decision)) {
        const [value, variant] = [served.values[index] ?? null, served.variants[index] ?? null];
        return { value, variant, reason: isStale ? "STALE" : "DEFAULT", detail: "breaker", revision, ageMs };
      }
      const { value, variant, reason, detail, errorCode } = served.flag.describe(decision);
      if (errorCode !== undefined) return { value, variant, reason, detail, revision, ageMs, errorCode };
      return { value, variant, reason: isStale ? "STALE" : reason, detail, revision, ageMs };
    },
  };
}

export function decide(served: ServedFlag, subject: Subject): Decision {
  return served.forced === NOT_FORCED ? served.flag.decide(subject) : served.forced;
}

/** Counts the exposure, and says which variant it is: not the decision's own where a breaker is open. */
function serve(served: ServedFlag, decision: Decision): number {
  const index = served.scope === null ? variantIndexOf(decision) : served.scope.serve(decision);
  count(served, index);
  return index;
}

export function count({ counts }: ServedFlag, index: number): void {
  counts[index] = (counts[index] as number) + 1;
}

/** What an open breaker serves instead may be of another type where the flag is JSON: null, say, beside an object. */
function orFallback(value: Json | undefined, fallback: Json): Json | undefined {
  return isOfTypeOf(fallback, value) ? value : fallback;
}

/** A default of null takes anything: it says that the caller knows what it gets. */
function isOfTypeOf(fallback: Json, value: Json | undefined): boolean {
  if (fallback === null) return value !== undefined;
  if (typeof value !== typeof fallback || value === null) return false;
  return typeof fallback !== "object" || Array.isArray(value) === Array.isArray(fallback);
}
