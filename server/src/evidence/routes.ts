import {
  evidencePage,
  evidenceQuery,
  gaugeDraft,
  gaugeValue,
  type Rollout,
  rolloutMetrics,
  rolloutMetricsQuery,
  unknownNames,
} from "@bunting/contracts";
import { z } from "zod";
import { badCursor, decodeCursor, encodeCursor } from "../http/cursor.ts";
import { pageOf } from "../http/examples.ts";
import { inEnvironment } from "../http/parameters.ts";
import { invalidField } from "../http/problem.ts";
import { type Refused, type Router, refused } from "../http/route.ts";
import type { Actor } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { fromInstant, toInstant } from "../platform/instant.ts";
import type { Clock, Scheduler } from "../ports.ts";
import type { EvidencePlace, StoredEvidence } from "../telemetry/evidence-store.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { type AttemptArms, armsOf } from "./evidence.ts";
import { EVIDENCE_ROW, GAUGE_VALUE, ROLLOUT_METRICS, UNKNOWN_NAMES } from "./examples.ts";
import { inPages } from "./in-pages.ts";
import { chooseSpan, measureRollout } from "./rollout-metrics.ts";

const tag = "evidence";

const ofRollout = z.object({ rollout: z.string().min(1).max(64) });

export interface EvidenceSlice {
  readonly ledger: Pick<Ledger, "state">;
  readonly telemetry: Pick<Telemetry, "withEvidence" | "unknown">;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "soon">;
}

export function evidenceRoutes(router: Router, { ledger, telemetry, clock, scheduler }: EvidenceSlice): void {
  const attemptOf = (actor: Actor, id: string, attempt: number | undefined): Found | Refused => {
    const rollout = ledger.state.rollouts.get(id)?.rollout;
    if (!rollout || !(actor.environments?.includes(rollout.environment) ?? true)) {
      return refused("rollout_not_found", `There is no rollout ${id}.`);
    }
    if (attempt !== undefined && attempt > rollout.attempt) {
      return { refusal: invalidField("query.attempt", `The rollout is at attempt ${rollout.attempt}.`) };
    }
    return { rollout, arms: { ...armsOf(rollout), attempt: attempt ?? rollout.attempt } };
  };

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts/{rollout}/metrics",
      operationId: "getRolloutMetrics",
      tag,
      summary: "Read what is measured of a rollout, over time",
      description:
        "By variant and window: rate, error rate, latency, custom metrics; and how the canary's error rate compares with the " +
        "control's, as a confidence sequence that may be looked at as often as one likes. Windows of ten seconds are shown for " +
        "an hour, minutes for a day, hours for 90 days. As far as received: the last windows still grow.",
      access: "read",
      params: ofRollout,
      query: rolloutMetricsQuery,
      success: { status: 200, description: "The series.", schema: rolloutMetrics, example: ROLLOUT_METRICS },
      errors: ["rollout_not_found", "storage_unknown_outcome"],
    },
    async ({ actor, params, query }) => {
      const found = attemptOf(actor, params.rollout, query.attempt);
      if ("refusal" in found) return found;
      const { rollout, arms } = found;
      const now = clock.now();
      const isLatest = arms.attempt === rollout.attempt;
      const begin = isLatest && rollout.startedAt !== null ? fromInstant(rollout.startedAt) : null;
      const endedAt = isLatest && rollout.endedAt !== null ? fromInstant(rollout.endedAt) : now;
      const isLive = isLatest && rollout.endedAt === null;
      const last = isLive ? now : (telemetry.withEvidence((store) => lastOf(store.lastReceived(arms))) ?? null);
      const chosen = chooseSpan(query, { begin, end: last ?? endedAt, now, isEvidenceKept: last !== null });
      if (!chosen.ok) return chosen;
      const metrics = await measureRollout({ telemetry, scheduler }, arms, rollout, chosen.span);
      return metrics ? { status: 200, body: metrics } : UNREADABLE;
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts/{rollout}/evidence",
      operationId: "listEvidence",
      tag,
      summary: "List what a rollout is judged by",
      description:
        "All rows of an attempt by interval, stage, variant and `availableAt`, as they are until 30 days after it ended. With " +
        "`through`, exactly what a decision that names this index was taken on.",
      access: "read",
      params: ofRollout,
      query: evidenceQuery,
      success: { status: 200, description: "One page.", schema: evidencePage, example: pageOf(EVIDENCE_ROW) },
      errors: ["rollout_not_found", "storage_unknown_outcome"],
    },
    async ({ actor, params, query: { attempt, cursor, limit, through = Number.MAX_SAFE_INTEGER } }) => {
      const found = attemptOf(actor, params.rollout, attempt);
      if ("refusal" in found) return found;
      const after = cursor === undefined ? null : readPlace(cursor);
      if (after === undefined) return { refusal: badCursor() };
      const rows: StoredEvidence[] = [];
      const pages = inPages(
        (last: StoredEvidence | null, atOnce) =>
          telemetry.withEvidence((store) =>
            store.evidencePage(found.arms, { after: last ?? after, through, limit: atOnce }),
          ),
        scheduler,
      );
      for await (const page of pages) {
        if (page === null) return UNREADABLE;
        rows.push(...page);
        if (rows.length > limit) break;
      }
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      const items = shown.map(({ counts, ...names }) => ({
        rollout: found.arms.rollout,
        attempt: found.arms.attempt,
        ...names,
        ...counts,
      }));
      const nextCursor = rows.length > limit && last ? encodeCursor(JSON.stringify(placeOf(last))) : null;
      return { status: 200, body: { items, nextCursor } };
    },
  );

  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/gauges",
      operationId: "postGauge",
      tag,
      summary: "Post the value of a gauge",
      description:
        "A figure of the whole system that no SDK knows: a Lighthouse score, CPU, revenue. Guardrails of kind `gauge` judge by " +
        "the latest value: this one, until another is posted, or processes report the metric after these ten seconds.",
      access: "post_gauge",
      params: inEnvironment,
      body: { schema: gaugeDraft },
      success: { status: 200, description: "The value, with its time.", schema: gaugeValue, example: GAUGE_VALUE },
      errors: ["environment_archived", "limit_exceeded", "storage_unknown_outcome"],
    },
    ({ environment, body: { metric, value } }) => {
      if (environment.archivedAt !== null) {
        return refused("environment_archived", `The environment ${environment.key} is archived.`);
      }
      const at = clock.now();
      const gauge = { environment: environment.key, metric, source: "posted", at, value } as const;
      const isTaken = telemetry.withEvidence((store) => store.addGauge(gauge));
      if (isTaken === null) return UNREADABLE;
      if (!isTaken) return refused("limit_exceeded", "An environment has at most 100 gauges within seven days.");
      return { status: 200, body: { environment: environment.key, metric, value, at: toInstant(at) } };
    },
  );

  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/unknown",
      operationId: "getUnknownNames",
      tag,
      summary: "List names that SDKs use and nobody knows",
      description:
        "Flags that do not exist, variants that their flag does not have, and evidence that could not be taken: what is left of " +
        "a typing error or an old release. At most 1,000 flags and 1,000 variants.",
      access: "read",
      params: inEnvironment,
      success: { status: 200, description: "The names.", schema: unknownNames, example: UNKNOWN_NAMES },
    },
    ({ environment }) => {
      const { flags, variants, refused: refusedEvidence } = telemetry.unknown(environment.key);
      return {
        status: 200,
        body: {
          environment: environment.key,
          flags: flags.map(({ flag, count, lastAt }) => ({
            flag,
            evaluationCount: count,
            lastSeenAt: toInstant(lastAt),
          })),
          variants: variants.map(({ count, lastAt, ...names }) => ({
            ...names,
            exposureCount: count,
            lastSeenAt: toInstant(lastAt),
          })),
          refusedEvidence,
        },
      };
    },
  );
}

interface Found {
  readonly rollout: Rollout;
  readonly arms: AttemptArms;
}

const UNREADABLE = refused("storage_unknown_outcome", "The telemetry database fails at the moment. Try again.");

function lastOf(at: ReadonlyMap<string, number>): number | null {
  return at.size === 0 ? null : Math.max(...at.values());
}

const place = z.tuple([z.int(), z.int(), z.string(), z.int()]);

const placeOf = ({ interval, stage, variant, availableAt }: EvidencePlace): z.input<typeof place> => [
  interval,
  stage,
  variant,
  availableAt,
];

/** Undefined where this is no cursor of ours. */
function readPlace(cursor: string): EvidencePlace | undefined {
  const text = decodeCursor(cursor);
  if (text === undefined) return undefined;
  try {
    const [interval, stage, variant, availableAt] = place.parse(JSON.parse(text));
    return { interval, stage, variant, availableAt };
  } catch {
    return undefined;
  }
}
