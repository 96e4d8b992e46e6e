import type { Rollout, RolloutMetrics } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { invalidField } from "../http/problem.ts";
import type { Refusal } from "../ledger/command.ts";
import { fromInstant, toInstant } from "../platform/instant.ts";
import type { EvidenceStore } from "../telemetry/evidence-store.ts";
import type { AttemptArms } from "./evidence.ts";
import {
  type CountWindow,
  LATENCY_ERROR_RATE,
  measureVariants,
  RESOLUTION_MS,
  type Resolution,
  rateRatios,
  SPAN_MS,
} from "./series.ts";

export interface SpanQuery {
  readonly resolution?: Resolution | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Whole windows: both ends are Unix ms at which one begins. */
export interface Span {
  readonly resolution: Resolution;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Unix ms. */
export interface AttemptSpan {
  /** When the attempt began; null where that is not known. */
  readonly begin: number | null;
  /** The last thing to show, if `to` is left out. */
  readonly end: number;
}

const HOUR_MS = 3_600_000;

/**
 * What to show of an attempt. Without a resolution the finest that is kept for the span; without a beginning as much as the
 * resolution is kept for, and nothing of before the attempt: rates would be of a time in which there was none.
 */
export function chooseSpan(
  { resolution, from, to }: SpanQuery,
  { begin, end }: AttemptSpan,
): { readonly ok: true; readonly span: Span } | { readonly ok: false; readonly refusal: Refusal } {
  // The window under way is shown too.
  const wantedTo = to === undefined ? end + 1 : fromInstant(to);
  const wantedFrom = from === undefined ? undefined : fromInstant(from);
  const fits = (one: Resolution): boolean => wantedFrom === undefined || wantedTo - wantedFrom <= SPAN_MS[one];
  const chosen = resolution ?? (["10s", "1m", "1h"] as const).find(fits);
  if (chosen === undefined || !fits(chosen)) {
    const hours = SPAN_MS[chosen ?? "1h"] / HOUR_MS;
    return { ok: false, refusal: invalidField("query.from", `At this resolution, ask for ${hours} hours at most.`) };
  }
  if (wantedFrom !== undefined && wantedFrom >= wantedTo) {
    return { ok: false, refusal: invalidField("query.from", "The span must begin before it ends.") };
  }
  const windowMs = RESOLUTION_MS[chosen];
  const toMs = Math.ceil(wantedTo / windowMs) * windowMs;
  const kept = wantedTo - SPAN_MS[chosen];
  const whole = begin !== null && begin < wantedTo ? Math.max(begin, kept) : kept;
  const fromMs = Math.max(0, Math.floor((wantedFrom ?? whole) / windowMs) * windowMs);
  return { ok: true, span: { resolution: chosen, fromMs, toMs } };
}

/** Reads and measures one span of an attempt. */
export function measureRollout(
  store: Pick<EvidenceStore, "series" | "evidenceOfIntervals">,
  arms: AttemptArms,
  { plan }: Pick<Rollout, "plan">,
  { resolution, fromMs, toMs }: Span,
): RolloutMetrics {
  const windowMs = RESOLUTION_MS[resolution];
  // The ratio rests on everything of the attempt: whole hours up to the one in which the span begins, then fine windows.
  const fineFromMs = Math.floor(fromMs / HOUR_MS) * HOUR_MS;
  const fine = windowsOf(store, arms, windowMs, { fromMs: fineFromMs, toMs });
  const coarse = windowsOf(store, arms, HOUR_MS, { fromMs: 0, toMs: fineFromMs });
  const shown = fine.filter(({ startsAt }) => startsAt >= fromMs);
  const errorBudget = plan.falseAlarmBudget;
  return {
    rollout: arms.rollout,
    attempt: arms.attempt,
    canary: plan.canary,
    control: plan.control,
    resolutionSeconds: windowMs / 1000,
    from: toInstant(fromMs),
    to: toInstant(toMs),
    latencyErrorRate: LATENCY_ERROR_RATE,
    variants: measureVariants(shown, { windowMs, spanMs: toMs - fromMs }),
    rateRatio: { errorBudget, points: rateRatios([...coarse, ...fine], arms, { fromMs, errorBudget }) },
  };
}

function windowsOf(
  store: Pick<EvidenceStore, "series" | "evidenceOfIntervals">,
  arms: AttemptArms,
  windowMs: number,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): readonly CountWindow[] {
  if (windowMs > EVIDENCE_INTERVAL_MS) return store.series(arms, windowMs, { after: fromMs - 1, through: toMs - 1 });
  const intervals = { after: fromMs / EVIDENCE_INTERVAL_MS - 1, through: toMs / EVIDENCE_INTERVAL_MS - 1 };
  return store
    .evidenceOfIntervals(arms, intervals)
    .map(({ interval, ...row }) => ({ ...row, startsAt: interval * EVIDENCE_INTERVAL_MS }));
}
