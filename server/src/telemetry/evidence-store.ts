import type { EnvironmentKey, Rollout } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS, LIMITS } from "@bunting/contracts/literals";
import type { EvidenceCounts } from "@bunting/gating";
import type { Database, Statement } from "better-sqlite3";
import { CellSum, decodeCounts, encodeCounts } from "./cell-sum.ts";
import {
  type EvidenceMerge,
  type EvidenceRefusal,
  type EvidenceSum,
  isServed,
  type PostedGauge,
  type ReportedGauge,
  type ReporterRow,
} from "./evidence-merge.ts";
import { intervalOf } from "./interval-index.ts";
import { OTHER } from "./merge.ts";
import { EVIDENCE_CAPS, RETENTION, SERIES_RETENTION } from "./schema.ts";

/** One attempt of one rollout. */
export interface AttemptKey {
  readonly rollout: string;
  readonly attempt: number;
}

export interface StoredEvidence {
  readonly interval: number;
  readonly stage: number;
  readonly variant: string;
  readonly availableAt: number;
  readonly counts: EvidenceCounts;
}

export interface StoredSeries {
  /** Unix ms. */
  readonly startsAt: number;
  readonly variant: string;
  /** Without the latency ladder. */
  readonly counts: EvidenceCounts;
}

/** `after < value <= through`. */
export interface Range {
  readonly after: number;
  readonly through: number;
}

export interface EvidencePageRequest {
  /** The last row of the page before; null: begins. */
  readonly after: EvidencePlace | null;
  readonly through: number;
  /** @default all */
  readonly lastInterval?: number;
  readonly limit: number;
}

export interface SeriesPageRequest {
  /** The last window of the page before; null: begins. */
  readonly after: Pick<StoredSeries, "startsAt" | "variant"> | null;
  /** On `startsAt`. */
  readonly through: number;
  readonly limit: number;
}

export type EvidencePlace = Omit<StoredEvidence, "counts">;

export interface SampleRow extends AttemptKey {
  readonly guardrail: string;
  /** Unix ms. */
  readonly at: number;
  readonly value: number | null;
  readonly error: string | null;
}

export interface GaugeReading {
  readonly at: number;
  readonly value: number;
}

/** `value` is the last report. */
export interface ReportedReading extends GaugeReading {
  readonly lowest: number;
  readonly highest: number;
}

type StoredGauge = { readonly interval: number } & (
  | ReportedReading
  /** Posted. */
  | (GaugeReading & { readonly lowest: null; readonly highest: null })
);

export interface UnknownVariant {
  readonly flag: string;
  readonly variant: string;
  readonly count: number;
  readonly lastAt: number;
}

/** What an attempt may hold; see {@link EVIDENCE_CAPS}. */
interface AttemptRecord extends AttemptKey {
  lastAt: number;
  rowCount: number;
  reporterCount: number | null;
  readonly metrics: Set<string>;
}

const MAXIMUM = Number.MAX_SAFE_INTEGER;
const BEFORE_ANY: EvidencePlace = { interval: -1, stage: 0, variant: "", availableAt: 0 };
/** Rows deleted before the event loop gets its turn. */
const PRUNED_AT_ONCE = 2_000;

/** The tables of evidence in the telemetry database. Writes belong into a transaction of the caller. */
export class EvidenceStore {
  readonly #statements: ReturnType<typeof prepare>;
  /** Flags and variants that are counted on their own, by environment: a batch may name a thousand, and each is looked up. */
  readonly #unknownVariants = new Map<string, Set<string>>();

  constructor(database: Database) {
    this.#statements = prepare(database);
  }

  /** The highest interval index that evidence was stored at, or that anybody was told; 0 before the first. */
  get index(): number {
    return (this.#statements.index.get() as number | undefined) ?? 0;
  }

  /** Returns what it is then: never less than it was. */
  raiseIndex(index: number): number {
    this.#statements.putIndex.run(index);
    return this.index;
  }

  /**
   * Adds everything, and counts in `merge.refused` what caps keep out.
   *
   * @param metricsOf metrics that the plan of a rollout names: they are admitted before others
   */
  merge(
    merge: EvidenceMerge,
    { index, committedAt }: { readonly index: number; readonly committedAt: number },
    metricsOf: (rollout: string) => readonly string[],
  ): void {
    const attempts = new Map<string, AttemptRecord>();
    const attemptOf = (key: AttemptKey): AttemptRecord => {
      const name = JSON.stringify([key.rollout, key.attempt]);
      const record = attempts.get(name) ?? this.#loadAttempt(key, metricsOf(key.rollout));
      attempts.set(name, record);
      return record;
    };
    const series = new Map<string, { readonly key: readonly (string | number)[]; readonly sum: CellSum }>();

    for (const sum of merge.sums) {
      const attempt = attemptOf(sum);
      attempt.lastAt = Math.max(attempt.lastAt, sum.lastAt);
      const { counts, refusedMetrics } = admit(sum.sum.render(), attempt.metrics);
      merge.refuse(sum.environment, "metric_limit", refusedMetrics);
      if (!this.#addRow(sum, counts, attempt)) {
        merge.refuse(sum.environment, "row_limit", sum.cellCount);
        continue;
      }
      this.#statements.putArm.run(sum.rollout, sum.attempt, sum.variant, sum.lastAt);
      for (const windowMs of Object.keys(SERIES_RETENTION).map(Number)) {
        const startsAt = Math.floor((sum.interval * EVIDENCE_INTERVAL_MS) / windowMs) * windowMs;
        const key = [sum.rollout, sum.attempt, windowMs, startsAt, sum.variant];
        const name = JSON.stringify(key);
        const entry = series.get(name) ?? { key, sum: new CellSum() };
        entry.sum.add({ ...counts, ladder: [] });
        series.set(name, entry);
      }
    }
    for (const { key, sum } of series.values()) {
      const before = this.#statements.seriesCounts.get(...key) as string | undefined;
      if (before !== undefined) sum.add(decodeCounts(before));
      this.#statements.putSeries.run(...key, encodeCounts(sum.render()));
    }
    for (const reporter of merge.reporters) {
      if (!this.#addReporter(reporter, attemptOf(reporter))) merge.refuse(reporter.environment, "reporter_limit");
    }
    for (const gauge of merge.gauges)
      if (!this.addGauge(gauge, committedAt)) merge.refuse(gauge.environment, "gauge_limit");
    for (const { rollout, attempt, lastAt, rowCount, metrics } of attempts.values()) {
      this.#statements.putAttempt.run(rollout, attempt, lastAt, rowCount, JSON.stringify([...metrics]));
    }
    this.raiseIndex(index);
  }

  /** False if the environment has as many gauges as it may. `now`: Unix ms. */
  addGauge(gauge: PostedGauge | ReportedGauge, now: number = gauge.at): boolean {
    const { environment, metric, source, at, value } = gauge;
    const { hasGauge, gaugeCount, putGauge, deleteLaterGauges } = this.#statements;
    const isKnown = hasGauge.get(environment, metric) !== undefined;
    if (!isKnown && (gaugeCount.get({ environment }) as number) >= EVIDENCE_CAPS.gaugesPerEnvironment) return false;
    // What is dated later than now was dated by a clock that ran ahead. When the clock is there again, it would pass for fresh.
    deleteLaterGauges.run(environment, metric, intervalOf(now));
    const { lowest, highest } = gauge.source === "sdk" ? gauge : { lowest: null, highest: null };
    putGauge.run(environment, metric, source, intervalOf(at), at, value, lowest, highest);
    return true;
  }

  addSample({ rollout, attempt, guardrail, at, value, error }: SampleRow): void {
    // As in addGauge.
    this.#statements.deleteLaterSamples.run(rollout, attempt, guardrail, at);
    this.#statements.putSample.run(rollout, attempt, guardrail, at, value, error);
  }

  addUnknownVariant(environment: EnvironmentKey, { flag, variant, count, lastAt }: UnknownVariant): void {
    const names = this.#unknownVariantsOf(environment);
    const name = JSON.stringify([flag, variant]);
    const isRoom = names.size < EVIDENCE_CAPS.unknownVariantsPerEnvironment || names.has(name);
    if (isRoom) names.add(name);
    this.#statements.putUnknownVariant.run(environment, isRoom ? flag : OTHER, isRoom ? variant : OTHER, count, lastAt);
  }

  addRefused(environment: EnvironmentKey, reason: EvidenceRefusal, count: number): void {
    this.#statements.addRefused.run(environment, reason, count);
  }

  /** By interval, stage, variant and availability, which is the order in which they are to be added up. */
  evidence({ rollout, attempt }: AttemptKey, available: Range): StoredEvidence[] {
    const rows = this.#statements.byAvailability.all(rollout, attempt, available.after, available.through);
    return rows.map(toEvidence);
  }

  /** The same by the interval of the exposures. */
  evidenceOfIntervals({ rollout, attempt }: AttemptKey, intervals: Range): StoredEvidence[] {
    return this.#statements.byInterval.all(rollout, attempt, intervals.after, intervals.through).map(toEvidence);
  }

  /** A page of the same: rows after one, and usable at `through`. */
  evidencePage(key: AttemptKey, { after, through, lastInterval, limit }: EvidencePageRequest): StoredEvidence[] {
    const { rollout, attempt } = key;
    const { interval, stage, variant, availableAt } = after ?? BEFORE_ANY;
    const place = { interval, stage, variant, availableAt };
    const bounds = { through, lastInterval: lastInterval ?? MAXIMUM, limit };
    return this.#statements.page.all({ rollout, attempt, ...place, ...bounds }).map(toEvidence);
  }

  /** How many rows had become usable at `through`: read from an index alone. */
  evidenceCount({ rollout, attempt }: AttemptKey, through: number): number {
    return this.#statements.evidenceCount.get(rollout, attempt, through) as number;
  }

  /** A page by time and variant. */
  seriesPage(key: AttemptKey, windowMs: number, { after, through, limit }: SeriesPageRequest): StoredSeries[] {
    const { rollout, attempt } = key;
    const { startsAt, variant } = after ?? { startsAt: -1, variant: "" };
    const rows = this.#statements.series.all({ rollout, attempt, windowMs, startsAt, variant, through, limit }) as {
      startsAt: number;
      variant: string;
      counts: string;
    }[];
    return rows.map(({ counts, ...row }) => ({ ...row, counts: decodeCounts(counts) }));
  }

  /** Unix ms by variant. */
  lastReceived({ rollout, attempt }: AttemptKey): ReadonlyMap<string, number> {
    const rows = this.#statements.arms.all(rollout, attempt) as { variant: string; last_at: number }[];
    return new Map(rows.map(({ variant, last_at }) => [variant, last_at]));
  }

  breakers({ rollout, attempt }: AttemptKey, stage: number, now: number) {
    // What a clock that ran ahead dated later is passed over: it would count until the clock is there again, and ten minutes more.
    const since = now - RETENTION.wordOfInstanceMs;
    const row = this.#statements.breakers.get({ rollout, attempt, stage, since, now });
    const { open, canary } = row as { open: number; canary: number };
    return { openInstanceCount: open, canaryInstanceCount: canary };
  }

  /** The last value of each interval and source, oldest first. */
  gauges(environment: string, metric: string, sinceMs: number): GaugeReading[] {
    return this.#statements.gauges.all(environment, metric, intervalOf(sinceMs), sinceMs) as GaugeReading[];
  }

  /**
   * What a guardrail is to judge by. A posted value is the last word on what was reported in its interval and before, so that a
   * correction holds. Of what was reported since, the latest interval counts together with the one before: processes report
   * about every ten seconds, each at a moment of its own, so in the latest alone some may not have spoken yet.
   *
   * @param since Unix ms
   * @param through Unix ms: what a clock that ran ahead dated later is passed over
   */
  latestGauge(
    environment: string,
    metric: string,
    { since, through }: { readonly since: number; readonly through: number },
  ): GaugeReading | ReportedReading | undefined {
    const [latest, before] = this.#statements.latestGauges.all({
      environment,
      metric,
      since,
      through,
      first: intervalOf(since),
      last: intervalOf(through),
    }) as (StoredGauge | undefined)[];
    if (latest === undefined) return undefined;
    const { at, value } = latest;
    if (latest.lowest === null) return { at, value };
    const isAdjacent = before?.interval === latest.interval - 1 && before.lowest !== null;
    const { lowest, highest } = isAdjacent ? before : latest;
    return { at, value, lowest: Math.min(lowest, latest.lowest), highest: Math.max(highest, latest.highest) };
  }

  /** @param through as of {@link latestGauge} */
  latestSample({ rollout, attempt }: AttemptKey, guardrail: string, through: number): SampleRow | undefined {
    return this.#statements.latestSample.get(rollout, attempt, guardrail, through) as SampleRow | undefined;
  }

  unknownVariants(environment: EnvironmentKey): UnknownVariant[] {
    return this.#statements.unknownVariants.all(environment) as UnknownVariant[];
  }

  refused(environment: EnvironmentKey): Readonly<Record<string, number>> {
    const rows = this.#statements.refused.all(environment) as { reason: string; count: number }[];
    return Object.fromEntries(rows.map(({ reason, count }) => [reason, count]));
  }

  /**
   * Deletes some of what is past its time. True if there is more.
   *
   * @param endedAt Unix ms of the end of an attempt; null while it lives
   */
  pruneSome(now: number, endedAt: (key: AttemptKey & { readonly lastAt: number }) => number | null): boolean {
    const { pruneSeries, pruneSamples, pruneGauges, pruneReporters, pruneUnknownVariants } = this.#statements;
    const unknown = pruneUnknownVariants.run(now - RETENTION.unknownNameMs, PRUNED_AT_ONCE);
    if (unknown.changes > 0) this.#unknownVariants.clear();
    const deleted = [
      unknown,
      ...Object.entries(SERIES_RETENTION).map(([windowMs, keptMs]) =>
        pruneSeries.run(Number(windowMs), now - keptMs, PRUNED_AT_ONCE),
      ),
      pruneSamples.run(now - RETENTION.sampleMs, PRUNED_AT_ONCE),
      pruneGauges.run(now - RETENTION.gaugeMs, PRUNED_AT_ONCE),
      pruneReporters.run(now - RETENTION.reporterMs, PRUNED_AT_ONCE),
    ];
    const isMore = this.#pruneAttempt(now - RETENTION.evidenceMs, endedAt);
    return isMore || deleted.some(({ changes }) => changes >= PRUNED_AT_ONCE);
  }

  /** Some rows of one attempt that ended before `before`. */
  #pruneAttempt(before: number, endedAt: (key: AttemptKey & { readonly lastAt: number }) => number | null): boolean {
    const silent = this.#statements.silentAttempts.all(before) as (AttemptKey & { lastAt: number })[];
    const over = silent.find((attempt) => (endedAt(attempt) ?? Infinity) < before);
    if (!over) return false;
    const { changes } = this.#statements.pruneEvidence.run(over.rollout, over.attempt, PRUNED_AT_ONCE);
    if (changes >= PRUNED_AT_ONCE) return true;
    this.#statements.deleteArms.run(over.rollout, over.attempt);
    this.#statements.deleteAttempt.run(over.rollout, over.attempt);
    return true;
  }

  /**
   * Deletes what this history has never served, however long that takes: of a rollout that is known, attempts and stages that
   * it has not come to. Those of an attempt that is not known are deleted in their time.
   */
  forgetUnserved(rolloutOf: (id: string) => Pick<Rollout, "attempt" | "stage" | "endedAt"> | undefined): void {
    const { attempts, deleteArms, deleteAttempt, forgetStages, ...forget } = this.#statements;
    for (const { rollout: id, attempt } of attempts.all() as AttemptKey[]) {
      const rollout = rolloutOf(id);
      if (!rollout) continue;
      const { stage, endedAt } = rollout;
      // An attempt that has ended comes to no further stage, and there may be many with many rows.
      if (attempt === rollout.attempt && stage !== null && endedAt === null) forgetStages.run(id, attempt, stage);
      if (isServed(rollout, { attempt })) continue;
      const { forgetEvidence, forgetSeries, forgetSamples, forgetReporters } = forget;
      for (const each of [forgetEvidence, forgetSeries, forgetSamples, forgetReporters, deleteArms, deleteAttempt]) {
        each.run(id, attempt);
      }
    }
  }

  #loadAttempt({ rollout, attempt }: AttemptKey, planned: readonly string[]): AttemptRecord {
    const row = this.#statements.attempt.get(rollout, attempt) as
      | { last_at: number; row_count: number; metrics: string }
      | undefined;
    const metrics = new Set([...((row && (JSON.parse(row.metrics) as string[])) ?? []), ...planned]);
    return {
      rollout,
      attempt,
      lastAt: row?.last_at ?? 0,
      rowCount: row?.row_count ?? 0,
      reporterCount: null,
      metrics,
    };
  }

  #unknownVariantsOf(environment: EnvironmentKey): Set<string> {
    const stored = () => this.unknownVariants(environment).map(({ flag, variant }) => JSON.stringify([flag, variant]));
    const names = this.#unknownVariants.get(environment) ?? new Set(stored());
    this.#unknownVariants.set(environment, names);
    return names;
  }

  /** False if the attempt has as many rows as it may. */
  #addRow(sum: EvidenceSum, counts: EvidenceCounts, attempt: AttemptRecord): boolean {
    const key = [sum.rollout, sum.attempt, sum.interval, sum.stage, sum.variant, sum.availableAt] as const;
    const before = this.#statements.evidenceCounts.get(...key) as string | undefined;
    if (before === undefined) {
      if (attempt.rowCount >= EVIDENCE_CAPS.rowsPerAttempt) return false;
      attempt.rowCount += 1;
    }
    const total = before === undefined ? counts : new CellSum().add(decodeCounts(before)).add(counts).render();
    this.#statements.putEvidence.run(...key, encodeCounts(total));
    return true;
  }

  #addReporter(row: ReporterRow, attempt: AttemptRecord): boolean {
    const { rollout, attempt: number, instance, boot, canaryStage, breaker, lastAt } = row;
    const { hasReporter, reporterCount, putReporter } = this.#statements;
    if (hasReporter.get(rollout, number, instance, boot) === undefined) {
      attempt.reporterCount ??= reporterCount.get(rollout, number) as number;
      if (attempt.reporterCount >= EVIDENCE_CAPS.reportersPerAttempt) return false;
      attempt.reporterCount += 1;
    }
    const word = [breaker?.state ?? null, breaker?.stage ?? null];
    putReporter.run(rollout, number, instance, boot, canaryStage, ...word, lastAt);
    return true;
  }
}

/** Takes metrics as long as there is room for new names. */
function admit(counts: EvidenceCounts, metrics: Set<string>): { counts: EvidenceCounts; refusedMetrics: number } {
  if (!counts.metrics) return { counts, refusedMetrics: 0 };
  const { metrics: reported, ...rest } = counts;
  const admitted = Object.entries(reported).filter(([name]) => {
    if (metrics.size < LIMITS.metricsPerRollout) metrics.add(name);
    return metrics.has(name);
  });
  return {
    counts: admitted.length === 0 ? rest : { ...rest, metrics: Object.fromEntries(admitted) },
    refusedMetrics: Object.keys(reported).length - admitted.length,
  };
}

function toEvidence(row: unknown): StoredEvidence {
  const { counts, ...key } = row as Omit<StoredEvidence, "counts"> & { counts: string };
  return { ...key, counts: decodeCounts(counts) };
}

function prepare(database: Database) {
  const one = (sql: string): Statement => database.prepare(sql).pluck();
  const all = (sql: string): Statement => database.prepare(sql);
  const prune = (table: string, where: string): Statement =>
    all(`DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} WHERE ${where} LIMIT ?)`);
  const evidence = "SELECT interval, stage, variant, available_at AS availableAt, counts FROM evidence";
  return {
    index: one("SELECT interval FROM progress"),
    putIndex: all(
      "INSERT INTO progress (only, interval) VALUES (1, ?) ON CONFLICT DO UPDATE SET interval = max(interval, excluded.interval)",
    ),
    attempt: all("SELECT last_at, row_count, metrics FROM attempt WHERE rollout = ? AND attempt = ?"),
    putAttempt: all(
      `INSERT INTO attempt (rollout, attempt, last_at, row_count, metrics) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET last_at = excluded.last_at, row_count = excluded.row_count, metrics = excluded.metrics`,
    ),
    attempts: all("SELECT rollout, attempt FROM attempt"),
    forgetEvidence: all("DELETE FROM evidence WHERE rollout = ? AND attempt = ?"),
    forgetStages: all("DELETE FROM evidence WHERE rollout = ? AND attempt = ? AND stage > ?"),
    forgetSeries: all("DELETE FROM series WHERE rollout = ? AND attempt = ?"),
    forgetSamples: all("DELETE FROM sample WHERE rollout = ? AND attempt = ?"),
    forgetReporters: all("DELETE FROM reporter WHERE rollout = ? AND attempt = ?"),
    silentAttempts: all("SELECT rollout, attempt, last_at AS lastAt FROM attempt WHERE last_at < ? ORDER BY last_at"),
    deleteAttempt: all("DELETE FROM attempt WHERE rollout = ? AND attempt = ?"),
    arms: all("SELECT variant, last_at FROM arm WHERE rollout = ? AND attempt = ?"),
    putArm: all(
      `INSERT INTO arm (rollout, attempt, variant, last_at) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET last_at = excluded.last_at`,
    ),
    deleteArms: all("DELETE FROM arm WHERE rollout = ? AND attempt = ?"),
    evidenceCounts: one(
      `SELECT counts FROM evidence
       WHERE rollout = ? AND attempt = ? AND interval = ? AND stage = ? AND variant = ? AND available_at = ?`,
    ),
    putEvidence: all(
      `INSERT INTO evidence (rollout, attempt, interval, stage, variant, available_at, counts) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET counts = excluded.counts`,
    ),
    byAvailability: all(
      `${evidence} WHERE rollout = ? AND attempt = ? AND available_at > ? AND available_at <= ?
       ORDER BY interval, stage, variant, available_at`,
    ),
    byInterval: all(
      `${evidence} WHERE rollout = ? AND attempt = ? AND interval > ? AND interval <= ?
       ORDER BY interval, stage, variant, available_at`,
    ),
    page: all(
      `${evidence} WHERE rollout = @rollout AND attempt = @attempt AND available_at <= @through AND interval <= @lastInterval
         AND (interval, stage, variant, available_at) > (@interval, @stage, @variant, @availableAt)
       ORDER BY interval, stage, variant, available_at LIMIT @limit`,
    ),
    evidenceCount: one("SELECT COUNT(*) FROM evidence WHERE rollout = ? AND attempt = ? AND available_at <= ?"),
    pruneEvidence: prune("evidence", "rollout = ? AND attempt = ?"),
    series: all(
      `SELECT starts_at AS startsAt, variant, counts FROM series
       WHERE rollout = @rollout AND attempt = @attempt AND window_ms = @windowMs AND starts_at <= @through
         AND (starts_at, variant) > (@startsAt, @variant)
       ORDER BY starts_at, variant LIMIT @limit`,
    ),
    seriesCounts: one(
      "SELECT counts FROM series WHERE rollout = ? AND attempt = ? AND window_ms = ? AND starts_at = ? AND variant = ?",
    ),
    putSeries: all(
      `INSERT INTO series (rollout, attempt, window_ms, starts_at, variant, counts) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET counts = excluded.counts`,
    ),
    pruneSeries: prune("series", "window_ms = ? AND starts_at < ?"),
    hasReporter: one("SELECT 1 FROM reporter WHERE rollout = ? AND attempt = ? AND instance = ? AND boot = ?"),
    reporterCount: one("SELECT COUNT(*) FROM reporter WHERE rollout = ? AND attempt = ?"),
    putReporter: all(
      `INSERT INTO reporter (rollout, attempt, instance, boot, canary_stage, breaker, breaker_stage, last_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET canary_stage = coalesce(excluded.canary_stage, canary_stage),
         breaker_stage = iif(excluded.breaker IS NULL, breaker_stage, excluded.breaker_stage),
         breaker = coalesce(excluded.breaker, breaker), last_at = excluded.last_at`,
    ),
    pruneReporters: prune("reporter", "last_at < ?"),
    // Whoever had the canary in a stage before has it now, for its share only grows: he need not have reported it yet.
    breakers: all(
      `SELECT COUNT(*) FILTER (WHERE breaker IN ('open', 'half_open') AND coalesce(breaker_stage, @stage) = @stage) AS open,
              COUNT(*) FILTER (WHERE canary_stage <= @stage
                OR breaker IS NOT NULL AND coalesce(breaker_stage, @stage) <= @stage) AS canary
       FROM reporter WHERE rollout = @rollout AND attempt = @attempt AND last_at BETWEEN @since AND @now`,
    ),
    hasGauge: one("SELECT 1 FROM gauge WHERE environment = ? AND metric = ? LIMIT 1"),
    // From name to name by the index, however many values each has.
    gaugeCount: one(
      `WITH RECURSIVE name (metric) AS (
         SELECT min(metric) FROM gauge WHERE environment = @environment
         UNION ALL
         SELECT (SELECT min(metric) FROM gauge WHERE environment = @environment AND metric > name.metric)
         FROM name WHERE metric IS NOT NULL)
       SELECT COUNT(metric) FROM name`,
    ),
    putGauge: all(
      `INSERT INTO gauge (environment, metric, source, interval, at, value, lowest, highest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET at = excluded.at, value = excluded.value,
         lowest = min(lowest, excluded.lowest), highest = max(highest, excluded.highest)`,
    ),
    gauges: all(
      "SELECT at, value FROM gauge WHERE environment = ? AND metric = ? AND interval >= ? AND at >= ? ORDER BY interval, at",
    ),
    // Two suffice: where a posted value stands before a report of its interval, the report counts no more.
    latestGauges: all(
      `SELECT interval, at, value, lowest, highest FROM gauge
       WHERE environment = @environment AND metric = @metric AND interval BETWEEN @first AND @last
         AND at BETWEEN @since AND @through
       ORDER BY interval DESC, source = 'posted' DESC LIMIT 2`,
    ),
    deleteLaterGauges: all("DELETE FROM gauge WHERE environment = ? AND metric = ? AND interval > ?"),
    pruneGauges: prune("gauge", "at < ?"),
    putSample: all(
      `INSERT INTO sample (rollout, attempt, guardrail, at, value, error) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET value = excluded.value, error = excluded.error`,
    ),
    latestSample: all(
      "SELECT * FROM sample WHERE rollout = ? AND attempt = ? AND guardrail = ? AND at <= ? ORDER BY at DESC LIMIT 1",
    ),
    deleteLaterSamples: all("DELETE FROM sample WHERE rollout = ? AND attempt = ? AND guardrail = ? AND at > ?"),
    pruneSamples: prune("sample", "at < ?"),
    putUnknownVariant: all(
      `INSERT INTO unknown_variant (environment, flag, variant, count, last_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET count = min(count + excluded.count, ${MAXIMUM}), last_at = excluded.last_at`,
    ),
    unknownVariants: all(
      "SELECT flag, variant, count, last_at AS lastAt FROM unknown_variant WHERE environment = ? ORDER BY flag, variant",
    ),
    pruneUnknownVariants: prune("unknown_variant", "last_at < ?"),
    addRefused: all(
      `INSERT INTO refused (environment, reason, count) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET count = min(count + excluded.count, ${MAXIMUM})`,
    ),
    refused: all("SELECT reason, count FROM refused WHERE environment = ? ORDER BY reason"),
  };
}
