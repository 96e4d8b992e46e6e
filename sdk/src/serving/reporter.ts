import { variantIndexOf } from "@bunting/engine";
import type { EvidenceBook } from "../evidence/book.ts";
import { isMeasure } from "../evidence/gauges.ts";
import type { Witnessed } from "../evidence/live-rollout.ts";
import { abandon } from "../evidence/request-outcome.ts";
import type { Exposure, Flags, Json, RunOptions, User } from "../types.ts";
import { count, decide, type Serving } from "./evaluator.ts";
import { missing, variantOfMissing } from "./missing.ts";
import { createSubjectOf } from "./subject.ts";
import { NOT_FORCED } from "./table.ts";

export type Reporter<Who> = Pick<Flags<Who>, "run" | "expose" | "track" | "gauge">;

/** One flag served to one user, and what its outcome is evidence of. */
interface Served {
  readonly variant: string | null;
  readonly value: Json;
  /** What `isEnabled` answers. */
  readonly truth: boolean;
  readonly witnessed: Witnessed | null;
}

/** The ways an application tells how a variant did. Where no rollout runs, none of them costs more than the evaluation. */
export function createReporter<Who>(
  serving: Serving,
  book: EvidenceBook,
  identify: ((user: Who) => User) | null,
): Reporter<Who> {
  const subjectOf = createSubjectOf(identify);
  const serve = (key: string, user: Who | undefined): Served => {
    const served = serving.table.flags.get(key);
    if (served === undefined) {
      const forced = missing(serving, key);
      return { variant: variantOfMissing(forced), value: forced ?? null, truth: forced ?? false, witnessed: null };
    }
    const decision = decide(served, subjectOf(user));
    const { index, witnessed } = served.scope?.witness(decision) ?? {
      index: variantIndexOf(decision),
      witnessed: null,
    };
    count(served, index);
    const { [index]: variant = null } = served.variants;
    const { [index]: value = null } = served.values;
    return { variant, value, truth: served.truths[index] === true, witnessed };
  };
  return {
    run<Branch extends () => unknown>(
      key: string,
      user: Who | undefined,
      branches: Readonly<Record<string, Branch>>,
      { isError = isNotAbort }: RunOptions = {},
    ) {
      // Before anything is counted: without a branch nothing is served.
      if (Object.keys(branches).length === 0) throw new TypeError(`Cannot run "${key}": there is no branch`);
      const served = serve(key, user);
      const branch = branchFor(served, branches);
      if (served.witnessed === null) return branch() as ReturnType<Branch>;
      return timed(branch, served.witnessed, { book, isError });
    },
    expose(key, user) {
      const { variant, value, witnessed } = serve(key, user);
      return witnessed === null
        ? { variant, value, success() {}, error() {} }
        : exposure(variant, value, witnessed, book);
    },
    track(metric, user, value = 1) {
      const flags = serving.table.trackedBy.get(metric);
      if (flags === undefined) return;
      if (!isMeasure(value)) return book.drop(flags.length);
      const subject = subjectOf(user);
      for (const { flag, forced, scope } of flags) {
        if (forced === NOT_FORCED) scope?.track(flag.decide(subject), metric, value);
      }
    },
    gauge: (metric, value) => book.gauge(metric, value),
  };
}

function branchFor<Branch>({ variant, truth }: Served, branches: Readonly<Record<string, Branch>>): Branch {
  const named = (name: string | null): Branch | undefined =>
    name !== null && Object.hasOwn(branches, name) ? branches[name] : undefined;
  const chosen = named(variant) ?? named(truth ? "on" : "off") ?? named("off");
  return chosen ?? (Object.values(branches).at(-1) as Branch);
}

interface Timing {
  readonly book: EvidenceBook;
  readonly isError: (error: unknown) => boolean;
}

function timed<Branch extends () => unknown>(
  branch: Branch,
  witnessed: Witnessed,
  { book, isError }: Timing,
): ReturnType<Branch> {
  const startedAt = book.now();
  const settle = (failed: boolean): void => {
    const now = book.now();
    witnessed.arm.settle(witnessed, { isError: failed, latencyMs: now - startedAt, now });
  };
  const fail = (error: unknown): never => {
    if (judged(isError, error)) settle(true);
    else abandon(witnessed);
    throw error;
  };
  let result: unknown;
  try {
    result = branch();
  } catch (error) {
    return fail(error);
  }
  if (isThenable(result)) {
    const told = result.then((value) => {
      settle(false);
      return value;
    }, fail);
    return told as ReturnType<Branch>;
  }
  settle(false);
  return result as ReturnType<Branch>;
}

function exposure(variant: string | null, value: Json, witnessed: Witnessed, book: EvidenceBook): Exposure {
  const startedAt = book.now();
  let isOver = false;
  const settle = (isError: boolean, latencyMs: number | undefined): void => {
    if (isOver) return;
    isOver = true;
    const now = book.now();
    const given = isMeasure(latencyMs) && latencyMs >= 0 ? latencyMs : now - startedAt;
    witnessed.arm.settle(witnessed, { isError, latencyMs: given, now });
  };
  return {
    variant,
    value,
    success: (latencyMs) => settle(false, latencyMs),
    error: (_error, latencyMs) => settle(true, latencyMs),
  };
}

/** Whoever gave up waiting says nothing about how it would have gone. */
function isNotAbort(error: unknown): boolean {
  return !(typeof error === "object" && error !== null && "name" in error && error.name === "AbortError");
}

/** What throws while it judges an error has not said that it is none. */
function judged(isError: (error: unknown) => boolean, error: unknown): boolean {
  try {
    return isError(error);
  } catch {
    return true;
  }
}

interface Thenable {
  then(fulfilled: (value: unknown) => unknown, rejected: (error: unknown) => unknown): unknown;
}

function isThenable(value: unknown): value is Thenable {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
