import type { Guardrail } from "@bunting/contracts";

/*
 * How figures and limits are said to people, in decisions, notifications and reports.
 */

/** `0.0123` → `1.23 %`. */
export const percentText = (rate: number): string => `${significant(rate * 100)} %`;

export const msText = (ms: number): string => `${significant(ms)} ms`;

export const rateRatioText = (ratio: number): string => `${significant(ratio)}x`;

/** Odds against: what an e-value says, `e^5 → 148 to 1`. */
export function oddsText(logEvidence: number): string {
  if (logEvidence > Math.log(1e9)) return "over a billion to 1";
  return `${significant(Math.exp(logEvidence))} to 1`;
}

/** At most three significant digits, without an exponent. */
export function significant(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value === 0 ? 0 : value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return String(Number(value.toFixed(Math.min(12, digits))));
}

/** A guardrail's limits, as in `error_rate <= 1 % and not worse than the control`. */
export function limitText(guardrail: Guardrail): string {
  const most = guardrail.exclusive ? "<" : "<=";
  const least = guardrail.exclusive ? ">" : ">=";
  const name = "source" in guardrail ? "query" : guardrail.metric;
  return `${name} ${limitsOf(guardrail, most, least).join(" and ")}${graceText(guardrail.forSeconds)}`;
}

function limitsOf(guardrail: Guardrail, most: string, least: string): string[] {
  if ("source" in guardrail) return bounds(guardrail, most, least, String);
  if ("kind" in guardrail) {
    if (guardrail.kind === "gauge") return bounds(guardrail, most, least, String);
    const { minPercentOfControl } = guardrail;
    return [
      ...(minPercentOfControl === undefined ? [] : [`${least} ${minPercentOfControl} % of the control's`]),
      ...bounds(guardrail, most, least, percentText),
    ];
  }
  if (guardrail.metric === "error_rate") {
    return [
      ...(guardrail.max === undefined ? [] : [`${most} ${percentText(guardrail.max)}`]),
      ...(guardrail.worseThanControl ? ["not worse than the control"] : []),
    ];
  }
  const { maxMs, maxIncreasePercent } = guardrail;
  return [
    ...(maxMs === undefined ? [] : [`${most} ${maxMs} ms`]),
    ...(maxIncreasePercent === undefined ? [] : [`at most ${maxIncreasePercent} % slower than the control`]),
  ];
}

function bounds(
  { min, max }: { readonly min?: number | undefined; readonly max?: number | undefined },
  most: string,
  least: string,
  text: (value: number) => string,
): string[] {
  return [
    ...(min === undefined ? [] : [`${least} ${text(min)}`]),
    ...(max === undefined ? [] : [`${most} ${text(max)}`]),
  ];
}

const graceText = (seconds: number): string => (seconds === 0 ? "" : `, failing for ${seconds} s`);
