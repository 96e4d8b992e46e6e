import { type ArmEvidence, armFromCells, type EvidenceInterval, namedGuardrails, type Sample } from "@bunting/gating";
import { fromInstant } from "../platform/instant.ts";
import type { Cancel, Clock } from "../ports.ts";
import type { StoredEvidence } from "../telemetry/evidence-store.ts";
import { intervalOf } from "../telemetry/interval-index.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type {
  AttemptArms,
  AvailabilityRange,
  EvidenceRow,
  EvidenceSource,
  GaugeValue,
  LastReceived,
  Sampled,
} from "./evidence.ts";
import { groupBy } from "./group-by.ts";

/** What the gross-failure rule looks at. */
const RECENT_MS = 60_000;

/** Evidence as the telemetry database holds it. */
export function createStoredEvidence({
  telemetry,
  clock,
}: {
  readonly telemetry: Pick<Telemetry, "index" | "withEvidence" | "onEvidence">;
  readonly clock: Clock;
}): EvidenceSource {
  return {
    through: () => telemetry.index(),

    intervals(arms: AttemptArms, { after = -1, through }: AvailabilityRange) {
      const rows = telemetry.withEvidence((store) => store.evidence(arms, { after, through }));
      return rows && toIntervals(rows, arms);
    },

    recent(arms, now) {
      return toIntervals(
        telemetry.withEvidence((store) => store.evidenceOfIntervals(arms, lastMinute(now))) ?? [],
        arms,
      );
    },

    cells(arms: AttemptArms, { after = -1, through }: AvailabilityRange) {
      const rows = telemetry.withEvidence((store) => store.evidence(arms, { after, through }));
      return rows && rows.map((row) => toRow(row, arms));
    },

    count: (arms, through) => telemetry.withEvidence((store) => store.evidenceCount(arms, through)),

    page(arms, range) {
      const rows = telemetry.withEvidence((store) => store.evidencePage(arms, range));
      return rows && rows.map((row) => toRow(row, arms));
    },

    recentCells(arms, now) {
      const rows = telemetry.withEvidence((store) => store.evidenceOfIntervals(arms, lastMinute(now))) ?? [];
      return rows.map((row) => toRow(row, arms));
    },

    lastReceived(arms): LastReceived {
      const at = telemetry.withEvidence((store) => store.lastReceived(arms));
      return { canary: at?.get(arms.canary) ?? null, control: at?.get(arms.control) ?? null };
    },

    breakers: (arms, stage) =>
      telemetry.withEvidence((store) => store.breakers(arms, stage, clock.now())) ?? {
        openInstanceCount: 0,
        canaryInstanceCount: 0,
      },

    gauges: (environment, metric, sinceMs): readonly GaugeValue[] =>
      telemetry.withEvidence((store) => store.gauges(environment, metric, sinceMs)) ?? [],

    samples: (rollout) => telemetry.withEvidence((store) => samplesOf(rollout, store, clock.now())) ?? new Map(),

    onArrival: (listener): Cancel => telemetry.onEvidence(listener),
  };
}

/** All intervals of which something is. */
function lastMinute(now: number): { readonly after: number; readonly through: number } {
  return { after: intervalOf(now - RECENT_MS) - 1, through: intervalOf(now) };
}

function toRow({ counts, ...place }: StoredEvidence, { rollout, attempt }: AttemptArms): EvidenceRow {
  return { ...place, ...counts, rollout, attempt, variant: place.variant as EvidenceRow["variant"] };
}

/** One per interval and stage, in that order. `rows` are in the order in which they are to be added. */
function toIntervals(
  rows: readonly StoredEvidence[],
  { canary, control }: Pick<AttemptArms, "canary" | "control">,
): EvidenceInterval[] {
  const places = groupBy(rows, ({ interval, stage }) => `${interval}/${stage}`);
  return [...places.values()].flatMap((there) => {
    const [first] = there;
    const arms = { canary: armOf(there, canary), control: armOf(there, control) };
    // Of a variant that is in no arm there is nothing to compare.
    if (!first || (!arms.canary && !arms.control)) return [];
    return [{ interval: first.interval, stage: first.stage, ...arms }];
  });
}

function armOf(rows: readonly StoredEvidence[], variant: string): ArmEvidence | null {
  return armFromCells(rows.filter((row) => row.variant === variant).map(({ counts }) => counts));
}

type Store = Parameters<Parameters<Telemetry["withEvidence"]>[0]>[0];

function samplesOf(rollout: Sampled, store: Store, now: number): ReadonlyMap<string, Sample> {
  const samples = new Map<string, Sample>();
  const begunAt = rollout.startedAt === null ? now : fromInstant(rollout.startedAt);
  for (const { id, guardrail } of namedGuardrails(rollout.plan)) {
    if ("source" in guardrail) {
      const sample = store.latestSample({ rollout: rollout.id, attempt: rollout.attempt }, id, now);
      if (sample) samples.set(id, toSample(sample));
    } else if ("kind" in guardrail && guardrail.kind === "gauge") {
      // Gauges are of the environment. What was measured before the attempt began is of whatever was served then.
      const reading = store.latestGauge(rollout.environment, guardrail.metric, { since: begunAt, through: now });
      if (reading) samples.set(id, reading);
    }
  }
  return samples;
}

function toSample({
  at,
  value,
  error,
}: {
  readonly at: number;
  readonly value: number | null;
  readonly error: string | null;
}): Sample {
  return error === null ? { at, value } : { at, error };
}
