import type { ConfigurationView, Flag, RolloutPlanInput } from "@bunting/contracts";

/** The few words in which most plans can be said. Everything else is a file. */
export interface PlanOptions {
  readonly canary?: string;
  readonly control?: string;
  /** Id of a rule; else the fallthrough. */
  readonly rule?: string;
  readonly stages?: readonly number[];
  /** Seconds in each stage. */
  readonly bake?: number;
  readonly maxErrorRate?: number;
  readonly worseThanControl?: boolean;
  readonly maxP99?: number;
  readonly maxP99Increase?: number;
  readonly minSamples?: number;
  /** Seconds. */
  readonly interval?: number;
  readonly autoPromote?: boolean;
  /** False with `--no-auto-rollback`. */
  readonly autoRollback?: boolean;
  readonly approval?: readonly number[];
  readonly check?: readonly string[];
  readonly notify?: readonly string[];
}

export type PlanResult =
  | { readonly ok: true; readonly plan: RolloutPlanInput }
  | { readonly ok: false; readonly detail: string };

export const DEFAULT_STAGES: readonly number[] = [1, 5, 25, 50, 100];
export const DEFAULT_BAKE_SECONDS = 300;
export const DEFAULT_MAX_ERROR_RATE = 0.01;

/**
 * The plan that options mean. Nothing named: 1, 5, 25, 50 and 100 %, five minutes each, at most 1 % errors and not more than
 * the control. Naming any limit replaces these two.
 */
export function planOf(
  options: PlanOptions,
  flag: Pick<Flag, "key" | "variants">,
  { offVariant }: Pick<ConfigurationView, "offVariant">,
): PlanResult {
  const control = options.control ?? offVariant;
  const variants = Object.keys(flag.variants);
  // The server would say the same, but a control that is none leaves the canary undecided, and that would be asked for.
  if (!variants.includes(control)) {
    return { ok: false, detail: `There is no variant ${control} for --control: ${variants.join(", ")}.` };
  }
  const others = variants.filter((variant) => variant !== control);
  const canary = options.canary ?? (others.length === 1 ? others[0] : undefined);
  if (canary === undefined) {
    return {
      ok: false,
      detail: `Say which variant is on trial with --canary: ${others.join(", ") || "there is none"}.`,
    };
  }
  const percents = options.stages ?? DEFAULT_STAGES;
  const gated = options.approval ?? [];
  const stray = gated.find((percent) => !percents.includes(percent));
  if (stray !== undefined) {
    return { ok: false, detail: `--approval ${stray} is no stage; the stages are ${percents.join(", ")}.` };
  }
  const { rule, bake, minSamples, interval, autoPromote, autoRollback, check, notify } = options;
  return {
    ok: true,
    plan: {
      canary,
      control,
      ...(rule !== undefined && { scope: { rule } }),
      stages: percents.map((percent) => ({
        percent,
        bakeSeconds: bake ?? DEFAULT_BAKE_SECONDS,
        ...(gated.includes(percent) && { approval: true as const }),
      })),
      guardrails: guardrailsOf(options),
      ...(minSamples !== undefined && { minSamples }),
      ...(interval !== undefined && { analysisIntervalSeconds: interval }),
      ...(autoPromote !== undefined && { autoPromote }),
      ...(autoRollback !== undefined && { autoRollback }),
      ...(check !== undefined && { checklist: [...check] }),
      ...(notify !== undefined && { notify: [...notify] }),
    } as RolloutPlanInput,
  };
}

function guardrailsOf(options: PlanOptions): NonNullable<RolloutPlanInput["guardrails"]> {
  const { maxErrorRate, worseThanControl, maxP99, maxP99Increase } = options;
  const limitsErrors = maxErrorRate !== undefined || worseThanControl === true;
  const limitsLatency = maxP99 !== undefined || maxP99Increase !== undefined;
  if (!limitsErrors && !limitsLatency) {
    return [{ metric: "error_rate", max: DEFAULT_MAX_ERROR_RATE, worseThanControl: true }];
  }
  return [
    ...(limitsErrors
      ? [
          {
            metric: "error_rate" as const,
            ...(maxErrorRate !== undefined && { max: maxErrorRate }),
            ...(worseThanControl === true && { worseThanControl }),
          },
        ]
      : []),
    ...(limitsLatency
      ? [
          {
            metric: "latency_p99" as const,
            ...(maxP99 !== undefined && { maxMs: maxP99 }),
            ...(maxP99Increase !== undefined && { maxIncreasePercent: maxP99Increase }),
          },
        ]
      : []),
  ];
}
