import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";

/*
 * The telemetry database, step by step. Forward only; a step that was released is never edited.
 */

const COUNTS = `
  CREATE TABLE boot (
    environment TEXT NOT NULL, instance TEXT NOT NULL, boot TEXT NOT NULL,
    sequence INTEGER NOT NULL, last_at INTEGER NOT NULL,
    UNIQUE (environment, instance, boot)
  ) STRICT;
  CREATE INDEX boot_by_age ON boot (last_at);
  CREATE TABLE exposure (
    environment TEXT NOT NULL, flag TEXT NOT NULL, variant TEXT NOT NULL,
    window_ms INTEGER NOT NULL, starts_at INTEGER NOT NULL, count INTEGER NOT NULL,
    UNIQUE (environment, flag, window_ms, starts_at, variant)
  ) STRICT;
  CREATE INDEX exposure_by_age ON exposure (window_ms, starts_at);
  CREATE TABLE unknown_flag (
    environment TEXT NOT NULL, flag TEXT NOT NULL, count INTEGER NOT NULL, last_at INTEGER NOT NULL,
    UNIQUE (environment, flag)
  ) STRICT;
  CREATE TABLE dropped (environment TEXT NOT NULL UNIQUE, count INTEGER NOT NULL) STRICT;
`;

/**
 * A rollout belongs to one environment, so its rows do not repeat which. `counts` is what cell-sum.ts encodes; `evidence` is
 * what decisions are replayed from, `series` what is shown.
 */
const EVIDENCE = `
  ALTER TABLE boot ADD COLUMN overridden TEXT NOT NULL DEFAULT '[]';
  CREATE INDEX boot_overridden ON boot (environment) WHERE overridden <> '[]';
  CREATE TABLE progress (only INTEGER PRIMARY KEY CHECK (only = 1), interval INTEGER NOT NULL) STRICT;
  CREATE TABLE attempt (
    rollout TEXT NOT NULL, attempt INTEGER NOT NULL, last_at INTEGER NOT NULL,
    row_count INTEGER NOT NULL, metrics TEXT NOT NULL,
    UNIQUE (rollout, attempt)
  ) STRICT;
  CREATE INDEX attempt_by_age ON attempt (last_at);
  CREATE TABLE arm (
    rollout TEXT NOT NULL, attempt INTEGER NOT NULL, variant TEXT NOT NULL, last_at INTEGER NOT NULL,
    UNIQUE (rollout, attempt, variant)
  ) STRICT;
  CREATE TABLE evidence (
    rollout TEXT NOT NULL, attempt INTEGER NOT NULL, interval INTEGER NOT NULL, stage INTEGER NOT NULL,
    variant TEXT NOT NULL, available_at INTEGER NOT NULL, counts TEXT NOT NULL,
    UNIQUE (rollout, attempt, interval, stage, variant, available_at)
  ) STRICT;
  CREATE INDEX evidence_by_availability ON evidence (rollout, attempt, available_at);
  CREATE TABLE series (
    rollout TEXT NOT NULL, attempt INTEGER NOT NULL, window_ms INTEGER NOT NULL, starts_at INTEGER NOT NULL,
    variant TEXT NOT NULL, counts TEXT NOT NULL,
    UNIQUE (rollout, attempt, window_ms, starts_at, variant)
  ) STRICT;
  CREATE INDEX series_by_age ON series (window_ms, starts_at);
  CREATE TABLE reporter (
    rollout TEXT NOT NULL, attempt INTEGER NOT NULL, instance TEXT NOT NULL, boot TEXT NOT NULL,
    canary_stage INTEGER, breaker TEXT, last_at INTEGER NOT NULL,
    UNIQUE (rollout, attempt, instance, boot)
  ) STRICT;
  CREATE INDEX reporter_by_age ON reporter (last_at);
  CREATE TABLE gauge (
    environment TEXT NOT NULL, metric TEXT NOT NULL, source TEXT NOT NULL, interval INTEGER NOT NULL,
    at INTEGER NOT NULL, value REAL NOT NULL,
    UNIQUE (environment, metric, interval, source)
  ) STRICT;
  CREATE INDEX gauge_by_age ON gauge (at);
  CREATE TABLE sample (
    rollout TEXT NOT NULL, attempt INTEGER NOT NULL, guardrail TEXT NOT NULL, at INTEGER NOT NULL,
    value REAL, error TEXT,
    UNIQUE (rollout, attempt, guardrail, at)
  ) STRICT;
  CREATE INDEX sample_by_age ON sample (at);
  CREATE TABLE unknown_variant (
    environment TEXT NOT NULL, flag TEXT NOT NULL, variant TEXT NOT NULL,
    count INTEGER NOT NULL, last_at INTEGER NOT NULL,
    UNIQUE (environment, flag, variant)
  ) STRICT;
  CREATE TABLE refused (
    environment TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
    UNIQUE (environment, reason)
  ) STRICT;
`;

/** Of what SDKs reported within an interval, beside the last value. A posted value has neither: it is the last word. */
const GAUGE_RANGE = `
  ALTER TABLE gauge ADD COLUMN lowest REAL;
  ALTER TABLE gauge ADD COLUMN highest REAL;
  UPDATE gauge SET lowest = value, highest = value WHERE source = 'sdk';
`;

/** Whose breaker a process spoke of. Null: it did not say. */
const BREAKER_STAGE = `
  ALTER TABLE reporter ADD COLUMN breaker_stage INTEGER;
`;

/** By the version that each leads to: 1, 2 … */
export const STEPS: readonly string[] = [COUNTS, EVIDENCE, GAUGE_RANGE, BREAKER_STAGE];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What is shown is kept the longer, the coarser it is. The hour beside the day is for windows that begin on the hour. */
export const SERIES_RETENTION: Readonly<Record<number, number>> = {
  [MINUTE_MS]: DAY_MS + HOUR_MS,
  [HOUR_MS]: 90 * DAY_MS,
};

export const RETENTION = {
  /** Evidence of an attempt at full resolution, after its end. */
  evidenceMs: 30 * DAY_MS,
  sampleMs: 30 * DAY_MS,
  gaugeMs: 7 * DAY_MS,
  reporterMs: DAY_MS,
  bootMs: 7 * DAY_MS,
  /** A name that nobody knows, after it was used last. */
  unknownNameMs: 90 * DAY_MS,
  /** What an instance said of its breaker or of canary traffic holds for this long. */
  wordOfInstanceMs: 10 * MINUTE_MS,
} as const;

export const EVIDENCE_CAPS = {
  /** Of one attempt: both arms of thirty days at ten seconds, twice. */
  rowsPerAttempt: (2 * 2 * 30 * DAY_MS) / EVIDENCE_INTERVAL_MS,
  reportersPerAttempt: 20_000,
  gaugesPerEnvironment: 100,
  unknownVariantsPerEnvironment: 1_000,
} as const;
