import type { Serve, Split, VariantKey } from "@bunting/contracts";

/** One thousandth of a percent: what a bucket is. */
const STEP_COUNT = 100_000;

/** What a scope serves, as a split. */
export function splitOf(serve: Serve): Split {
  return "split" in serve ? serve.split : { [serve.variant]: 100 };
}

/**
 * The split of a stage: the canary has its percent, and the others share the rest as they shared the whole before. Rounded
 * to thousandths by largest remainder, so that the sum is exactly 100; of equal remainders the one named first wins.
 *
 * @param former what the scope served before the attempt, without the canary. Each stage is computed from it and not from
 *   the stage before: rounding does not add up, and what is restored is what was
 */
export function splitAtPercent(former: Split, canary: VariantKey, percent: number): Split {
  const canarySteps = toSteps(percent);
  const others = Object.entries(former).filter(([variant]) => variant !== canary);
  const formerSteps = others.reduce((sum, [, weight]) => sum + toSteps(weight), 0);
  const restSteps = STEP_COUNT - canarySteps;
  const shares = others.map(([variant, weight], index) => {
    // In integers, for a remainder of a quotient in doubles would break ties by chance.
    const product = toSteps(weight) * restSteps;
    const remainder = product % formerSteps;
    return { variant, index, steps: (product - remainder) / formerSteps, remainder };
  });
  const missing = restSteps - shares.reduce((sum, { steps }) => sum + steps, 0);
  const raised = new Set(
    [...shares]
      .sort((a, b) => b.remainder - a.remainder || a.index - b.index)
      .slice(0, missing)
      .map(({ variant }) => variant),
  );
  return {
    [canary]: toPercent(canarySteps),
    ...Object.fromEntries(
      shares.map(({ variant, steps }) => [variant, toPercent(raised.has(variant) ? steps + 1 : steps)]),
    ),
  };
}

function toSteps(percent: number): number {
  return Math.round(percent * (STEP_COUNT / 100));
}

function toPercent(steps: number): number {
  return steps / (STEP_COUNT / 100);
}
