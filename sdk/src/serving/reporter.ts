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
class Served {
  readonly variant: string | null;
  readonly value: Json;
  /** What `isEnabled` answers. */
  readonly truth: boolean;
  readonly witnessed: Witnessed | null;

  constructor(variant: string | null, value: Json, truth: boolean, witnessed: Witnessed | null) {
    this.variant = variant;
    this.value = value;
    this.truth = truth;
    this.witnessed = witnessed;
  }
}

/** The ways an application tells how a variant did. Where no rollout runs, none of them looks at the clock. */
export function createReporter<Who>(
  serving: Serving,
  book: EvidenceBook,
  identify: ((user: Who) => User) | null,
): Reporter<Who> {
  const subjectOf = createSubjectOf(identify);
  const serve = (key: string, user: Who | undefined, given?: string): Served => {
    const served = serving.table.flags.get(key);
    if (served === undefined) {
      const forced = missing(serving, key);
      return new Served(variantOfMissing(forced), forced ?? null, forced ?? false, null);
    }
    const decision = decide(served, subjectOf(user));
    const { scope } = served;
    const choice = given === undefined ? -1 : served.variants.indexOf(given);
    const witnessed = scope === null ? null : scope.witness(decision, choice);
    const index = scope === null ? variantIndexOf(decision) : scope.servedIndex;
    count(served, index);
    return new Served(
      served.variants[index] ?? null,
      served.values[index] ?? null,
      served.truths[index] === true,
      witnessed,
    );
  };
  return {
    run<Branch extends () => unknown>(
      key: string,
      user: Who | undefined,
      branches: Readonly<Record<string, Branch>>,
      options?: RunOptions,
    ) {
      // Before anything is counted: without a branch nothing is served.
      if (isEmpty(branches)) throw new TypeError(`Cannot run "${key}": there is no branch`);
      const served = serve(key, user);
      const branch = branchFor(served, branches);
      if (served.witnessed === null) return branch() as ReturnType<Branch>;
      return new Timing(book, served.witnessed, options?.isError ?? isNotAbort).run(branch);
    },
    expose(key, user, options) {
      const served = serve(key, user, options?.served);
      if (served.witnessed !== null) return toldExposure(served, served.witnessed, book);
      return { variant: served.variant, value: served.value, success: ignore, error: ignore };
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

function branchFor<Branch>(served: Served, branches: Readonly<Record<string, Branch>>): Branch {
  return (
    branchNamed(branches, served.variant) ??
    branchNamed(branches, served.truth ? "on" : "off") ??
    branchNamed(branches, "off") ??
    (Object.values(branches).at(-1) as Branch)
  );
}

function branchNamed<Branch>(branches: Readonly<Record<string, Branch>>, name: string | null): Branch | undefined {
  return name !== null && Object.hasOwn(branches, name) ? branches[name] : undefined;
}

function isEmpty(branches: object): boolean {
  for (const name in branches) if (Object.hasOwn(branches, name)) return false;
  return true;
}

/** One run of a branch, from its start to whatever becomes of it. */
class Timing {
  private readonly book: EvidenceBook;
  private readonly witnessed: Witnessed;
  private readonly isError: (error: unknown) => boolean;
  private readonly startedAt: number;
  /** A promise settles once; what only looks like one may call back again, and throw besides. */
  private isOver = false;

  constructor(book: EvidenceBook, witnessed: Witnessed, isError: (error: unknown) => boolean) {
    this.book = book;
    this.witnessed = witnessed;
    this.isError = isError;
    this.startedAt = book.now();
  }

  run<Branch extends () => unknown>(branch: Branch): ReturnType<Branch> {
    let result: unknown;
    try {
      result = branch();
      if (isThenable(result)) return this.followed(result) as ReturnType<Branch>;
    } catch (error) {
      this.failed(error);
      throw error;
    }
    this.end(false);
    return result as ReturnType<Branch>;
  }

  private followed(result: Thenable): unknown {
    return result.then(
      (value) => {
        this.end(false);
        return value;
      },
      (error) => {
        this.failed(error);
        throw error;
      },
    );
  }

  private failed(error: unknown): void {
    this.end(judged(this.isError, error) ? true : null);
  }

  /** Null: it failed in a way that says nothing. */
  private end(isError: boolean | null): void {
    if (this.isOver) return;
    this.isOver = true;
    if (isError === null) return abandon(this.witnessed);
    const now = this.book.now();
    this.witnessed.arm.settle(this.witnessed, { isError, latencyMs: now - this.startedAt, now });
  }
}

/** Of a flag whose outcomes nobody waits for. */
function ignore(): void {}

/** Closures and not methods, for they are passed on by themselves: `.catch(exposure.error)`. */
function toldExposure({ variant, value }: Served, witnessed: Witnessed, book: EvidenceBook): Exposure {
  const startedAt = book.now();
  let isOver = false;
  const settle = (isError: boolean, given: number | undefined): void => {
    if (isOver) return;
    isOver = true;
    const now = book.now();
    const latencyMs = isMeasure(given) && given >= 0 ? given : now - startedAt;
    witnessed.arm.settle(witnessed, { isError, latencyMs, now });
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

/** As `await` sees it: functions too, which is what proxies of remote objects are. */
function isThenable(value: unknown): value is Thenable {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  try {
    return typeof (value as Partial<Thenable>).then === "function";
  } catch {
    // A proxy that lets nobody look is a value like any other.
    return false;
  }
}
