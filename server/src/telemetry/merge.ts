import type { EnvironmentKey, TelemetryBatch } from "@bunting/contracts";
import { EvidenceMerge, type KnownRollouts } from "./evidence-merge.ts";

/*
 * What a number of batches comes to. Pure: the caller reads the sequences and writes the result in one transaction, and
 * answers when it has committed.
 */

export interface Submission {
  readonly environment: EnvironmentKey;
  readonly batch: TelemetryBatch;
  /** Unix ms. */
  readonly receivedAt: number;
}

export type TelemetryAnswer =
  /** All batches of the boot up to this one are durable. */
  | { readonly type: "stored"; readonly sequence: number }
  | { readonly type: "refused"; readonly code: "telemetry_too_old" }
  /** Nothing was stored; the same batch may be sent again. */
  | { readonly type: "unavailable" };

export type BatchOutcome = "merged" | "repeated" | "out_of_order" | "too_old";

/** What is known before, as of this transaction. */
export interface Known extends KnownRollouts {
  lastSequence(environment: EnvironmentKey, batch: TelemetryBatch): number | null;
  hasFlag(flag: string): boolean;
}

export interface BootRow {
  readonly environment: EnvironmentKey;
  readonly instance: string;
  readonly boot: string;
  readonly sequence: number;
  /** Unix ms. */
  readonly lastAt: number;
  /** Flags that local overrides force there, by its latest batch. */
  readonly overridden: readonly string[];
}

export interface ExposureRow {
  readonly environment: EnvironmentKey;
  readonly flag: string;
  readonly variant: string;
  /** Unix ms, when they happened as far as the server can tell. */
  readonly at: number;
  readonly count: number;
}

export interface UnknownRow {
  readonly environment: EnvironmentKey;
  readonly flag: string;
  readonly count: number;
  readonly lastAt: number;
}

export interface Merged {
  /** One for each submission. */
  readonly answers: readonly TelemetryAnswer[];
  readonly outcomes: readonly BatchOutcome[];
  readonly boots: readonly BootRow[];
  /** Summed over the batches: one row per flag, variant and minute. */
  readonly exposures: readonly ExposureRow[];
  readonly unknown: readonly UnknownRow[];
  /** Exposures that SDKs dropped, by environment. */
  readonly dropped: ReadonlyMap<EnvironmentKey, number>;
  /** Exposures, outcomes and calls of `track` of rollouts that SDKs dropped. */
  readonly evidenceDropped: number;
  readonly evidence: EvidenceMerge;
}

export const MINUTE_MS = 60_000;
/** The longest life of a batch in an SDK, and how far back evidence is dated. */
export const OLDEST_BATCH_MS = 60 * MINUTE_MS;
/** Stands for names that nobody knows: no flag or variant can be called so. */
export const OTHER = "__other__";

export function mergeBatches(submissions: readonly Submission[], known: Known): Merged {
  const boots = new Map<string, BootRow>();
  const exposures = new Sums<ExposureRow>();
  const unknown = new Sums<UnknownRow>();
  const dropped = new Map<EnvironmentKey, number>();
  const evidence = new EvidenceMerge(known);
  let evidenceDropped = 0;
  const answers: TelemetryAnswer[] = [];
  const outcomes: BatchOutcome[] = [];

  for (const { environment, batch, receivedAt } of submissions) {
    const { instance, boot, sequence } = batch;
    const identity = JSON.stringify([environment, instance, boot]);
    const stored = boots.get(identity)?.sequence ?? known.lastSequence(environment, batch);
    const outcome = judgeBatch(batch, stored);
    outcomes.push(outcome);
    if (outcome !== "merged") {
      answers.push(outcome === "too_old" ? TOO_OLD : { type: "stored", sequence: stored ?? 0 });
      continue;
    }
    answers.push({ type: "stored", sequence });
    boots.set(identity, {
      environment,
      instance,
      boot,
      sequence,
      lastAt: receivedAt,
      overridden: batch.overridden ?? [],
    });
    evidence.add({ environment, batch, receivedAt });
    const at = floorTo(MINUTE_MS, receivedAt - Math.min(batch.ageMs, OLDEST_BATCH_MS));
    for (const { flag, variant, exposures: count } of batch.cells) {
      if (!known.hasFlag(flag)) unknown.add([environment, flag], { environment, flag, count, lastAt: receivedAt });
      else {
        const isKnown = known.hasVariant(flag, variant);
        if (!isKnown) evidence.addStranger(environment, flag, variant, count);
        const served = isKnown ? variant : OTHER;
        exposures.add([environment, flag, served, at], { environment, flag, variant: served, at, count });
      }
    }
    for (const { flag, evaluations: count } of batch.unknown ?? []) {
      unknown.add([environment, flag], { environment, flag, count, lastAt: receivedAt });
    }
    evidenceDropped += batch.evidenceDropped ?? 0;
    if (batch.dropped) {
      dropped.set(environment, Math.min(Number.MAX_SAFE_INTEGER, (dropped.get(environment) ?? 0) + batch.dropped));
    }
  }
  return {
    answers,
    outcomes,
    boots: [...boots.values()],
    exposures: exposures.rows,
    unknown: unknown.rows,
    dropped,
    evidenceDropped,
    evidence,
  };
}

/**
 * `stored` is null for a boot that is not known: it never was, or it was forgotten. A forgotten one may have been counted, but
 * forgetting takes a week, see forgotten-boots.ts, and a batch lives an hour, so a young batch is safe to take as a new base.
 */
export function judgeBatch(batch: Pick<TelemetryBatch, "sequence" | "ageMs">, stored: number | null): BatchOutcome {
  if (stored === null) return batch.ageMs <= OLDEST_BATCH_MS ? "merged" : "too_old";
  if (batch.sequence <= stored) return "repeated";
  return batch.sequence === stored + 1 ? "merged" : "out_of_order";
}

export function floorTo(unitMs: number, unixMs: number): number {
  return Math.floor(unixMs / unitMs) * unitMs;
}

const TOO_OLD: TelemetryAnswer = { type: "refused", code: "telemetry_too_old" };

/** Rows with the same key added up. */
class Sums<Row extends { readonly count: number }> {
  readonly #rows = new Map<string, Row>();

  get rows(): readonly Row[] {
    return [...this.#rows.values()];
  }

  add(key: readonly unknown[], row: Row): void {
    const text = JSON.stringify(key);
    const sum = row.count + (this.#rows.get(text)?.count ?? 0);
    this.#rows.set(text, { ...row, count: Math.min(sum, Number.MAX_SAFE_INTEGER) });
  }
}
