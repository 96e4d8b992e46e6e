import type { TrafficSplit } from "../routing/source.ts";

/** Steps that a local split takes by itself. A flag's rollout has its own, on the server. */
export interface PromotionPlan {
  readonly canary: string;
  readonly baseline: string;
  /** Percent of the canary, rising. */
  readonly percentages: readonly number[];
  /** How long the gates must pass without a break. @default 30000 */
  readonly afterMs?: number | undefined;
  /** How much slower per entity the canary may be than the baseline. @default 1.5 */
  readonly maxSlowdown?: number | undefined;
}

export interface PromotionState {
  /** Index into the percentages; -1 before the first. */
  readonly step: number;
  /** Since when all gates pass, monotonic ms; null while one does not. */
  readonly passingSince: number | null;
}

export const BEFORE_PROMOTION: PromotionState = { step: -1, passingSince: null };

/** What the gates look at, of one version. */
export interface Health {
  readonly isServing: boolean;
  readonly processedCount: number;
  readonly errorRate: number;
  /** Mean per entity, ms. */
  readonly meanMs: number;
}

export interface PromotionLook {
  readonly canary: Health;
  readonly baseline: Health;
  readonly maxErrorRate: number;
  /** Monotonic ms. */
  readonly now: number;
}

export type PromotionVerdict =
  | { readonly kind: "hold"; readonly state: PromotionState }
  | { readonly kind: "promote"; readonly state: PromotionState; readonly split: TrafficSplit };

/** The first step is taken at once, each further one after the gates have passed for as long as the plan asks. */
export function decidePromotion(plan: PromotionPlan, state: PromotionState, look: PromotionLook): PromotionVerdict {
  if (state.step < 0) return promote(plan, 0);
  if (!passes(plan, look)) return { kind: "hold", state: { ...state, passingSince: null } };
  const since = state.passingSince ?? look.now;
  const isDue = look.now - since >= (plan.afterMs ?? 30_000);
  if (isDue && state.step < plan.percentages.length - 1) return promote(plan, state.step + 1);
  return { kind: "hold", state: { ...state, passingSince: since } };
}

function promote({ canary, baseline, percentages }: PromotionPlan, step: number): PromotionVerdict {
  const percent = percentages[step] ?? 0;
  const split = percent >= 100 ? { [canary]: 100 } : { [canary]: percent, [baseline]: 100 - percent };
  return { kind: "promote", state: { step, passingSince: null }, split };
}

/** Only what was seen to work passes: a canary without work does not. */
function passes(plan: PromotionPlan, { canary, baseline, maxErrorRate }: PromotionLook): boolean {
  if (!canary.isServing || canary.processedCount === 0 || canary.errorRate > maxErrorRate) return false;
  return baseline.processedCount === 0 || canary.meanMs <= baseline.meanMs * (plan.maxSlowdown ?? 1.5);
}
