import type { Rollout, RolloutMetrics } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { invalidField } from "../http/problem.ts";
import type { Refusal } from "../ledger/command.ts";
import { fromInstant, toInstant } from "../platform/instant.ts";
import type { Scheduler } from "../ports.ts";
import type { StoredEvidence } from "../telemetry/evidence-store.ts";
import { SERIES_RETENTION } from "../telemetry/schema.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { AttemptArms } from "./evidence.ts";
import { inPages } from "./in-pages.ts";
import {
  type CountWindow,
  LATENCY_ERROR_RATE,
  RateRatios,
  RESOLUTION_MS,
  type Resolution,
  SPAN_MS,
  VariantMeasures,
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
  readonly now: number;
  /** Whether the evidence itself is still there, of which windows of ten seconds are made. It outlives minutes. */
  readonly isEvidenceKept: boolean;
}

const HOUR_MS = 3_600_000;
const MINUTES_KEPT_MS = SERIES_RETENTION[RESOLUTION_MS["1m"]] ?? SPAN_MS["1m"];

/**
 * What to show of an attempt. Without a resolution the finest that is kept for the span and still there; without a beginning as
 * much as the resolution is kept for, and nothing of before the attempt: rates would be of a time in which there was none.
 */
export function chooseSpan(
  { resolution, from, to }: SpanQuery,
  { begin, end, now, isEvidenceKept }: AttemptSpan,
): { readonly ok: true; readonly span: Span } | { readonly ok: false; readonly refusal: Refusal } {
  // The window under way is shown too.
  const wantedTo = to === undefined ? end + 1 : fromInstant(to);
  const wantedFrom = from === undefined ? undefined : fromInstant(from);
  const fits = (one: Resolution): boolean => wantedFrom === undefined || wantedTo - wantedFrom <= SPAN_MS[one];
  // Of an hour that is partly gone the minutes that are left would pass for all there were.
  const firstMinuteMs = Math.ceil((now - MINUTES_KEPT_MS) / HOUR_MS) * HOUR_MS;
  const isKept: Readonly<Record<Resolution, boolean>> = {
    "10s": isEvidenceKept,
    "1m": isEvidenceKept && (wantedFrom ?? wantedTo - 1) >= firstMinuteMs,
    "1h": true,
  };
  const chosen = resolution ?? (["10s", "1m", "1h"] as const).find((one) => isKept[one] && fits(one));
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
  const earliest = chosen === "1m" ? Math.min(firstMinuteMs, toMs) : 0;
  const fromMs = Math.max(earliest, Math.floor((wantedFrom ?? whole) / windowMs) * windowMs);
  return { ok: true, span: { resolution: chosen, fromMs, toMs } };
}

/** What measuring reads from, and whom it gives way to. */
export interface MeasuringDeps {
  readonly telemetry: Pick<Telemetry, "withEvidence">;
  readonly scheduler: Pick<Scheduler, "soon">;
}

/** Reads and measures one span of an attempt. Null if it cannot be read at the moment. */
export async function measureRollout(
  deps: MeasuringDeps,
  arms: AttemptArms,
  { plan }: Pick<Rollout, "plan">,
  { resolution, fromMs, toMs }: Span,
): Promise<RolloutMetrics | null> {
  const windowMs = RESOLUTION_MS[resolution];
  const errorBudget = plan.falseAlarmBudget;
  const variants = new VariantMeasures(windowMs);
  const ratios = new RateRatios(arms, { fromMs, errorBudget });
  // The ratio rests on everything of the attempt: whole hours up to the one in which the span begins, then fine windows.
  const fineFromMs = Math.floor(fromMs / HOUR_MS) * HOUR_MS;
  for await (const windows of windowsOf(deps, arms, HOUR_MS, { fromMs: 0, toMs: fineFromMs })) {
    if (windows === null) return null;
    ratios.add(windows.startsAt, windows.same);
  }
  for await (const windows of windowsOf(deps, arms, windowMs, { fromMs: fineFromMs, toMs })) {
    if (windows === null) return null;
    ratios.add(windows.startsAt, windows.same);
    if (windows.startsAt >= fromMs) variants.add(windows.startsAt, windows.same);
  }
  return {
    rollout: arms.rollout,
    attempt: arms.attempt,
    canary: plan.canary,
    control: plan.control,
    resolutionSeconds: windowMs / 1000,
    from: toInstant(fromMs),
    to: toInstant(toMs),
    latencyErrorRate: LATENCY_ERROR_RATE,
    variants: variants.result(toMs - fromMs),
    rateRatio: { errorBudget, points: ratios.points },
  };
}

/** What was counted of an attempt from `fromMs` to before `toMs`, window by window, in turns. Ends with null if it cannot be read. */
export async function* windowsOf(
  deps: MeasuringDeps,
  arms: AttemptArms,
  windowMs: number,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
): AsyncGenerator<{ readonly startsAt: number; readonly same: readonly CountWindow[] } | null> {
  let same: CountWindow[] = [];
  for await (const page of windowMs === EVIDENCE_INTERVAL_MS
    ? intervalPages(deps, arms, fromMs, toMs)
    : seriesPages(deps, arms, windowMs, fromMs, toMs)) {
    if (page === null) {
      yield null;
      return;
    }
    for (const window of page) {
      const [first] = same;
      if (first !== undefined && first.startsAt !== window.startsAt) {
        yield { startsAt: first.startsAt, same };
        same = [];
      }
      same.push(window);
    }
  }
  const [first] = same;
  if (first !== undefined) yield { startsAt: first.startsAt, same };
}

function seriesPages(
  { telemetry, scheduler }: MeasuringDeps,
  arms: AttemptArms,
  windowMs: number,
  fromMs: number,
  toMs: number,
): AsyncGenerator<readonly CountWindow[] | null> {
  const begin = { startsAt: fromMs, variant: "" };
  return inPages((last: CountWindow | null, limit) => {
    const range = { after: last ?? begin, through: toMs - 1, limit };
    return telemetry.withEvidence((store) => store.seriesPage(arms, windowMs, range));
  }, scheduler);
}

async function* intervalPages(
  { telemetry, scheduler }: MeasuringDeps,
  arms: AttemptArms,
  fromMs: number,
  toMs: number,
): AsyncGenerator<readonly CountWindow[] | null> {
  const begin = { interval: fromMs / EVIDENCE_INTERVAL_MS, stage: -1, variant: "", availableAt: 0 };
  const bounds = { through: Number.MAX_SAFE_INTEGER, lastInterval: toMs / EVIDENCE_INTERVAL_MS - 1 };
  const pages = inPages(
    (last: StoredEvidence | null, limit) =>
      telemetry.withEvidence((store) => store.evidencePage(arms, { after: last ?? begin, ...bounds, limit })),
    scheduler,
  );
  for await (const page of pages) {
    yield page && page.map(({ interval, ...row }) => ({ ...row, startsAt: interval * EVIDENCE_INTERVAL_MS }));
  }
}
