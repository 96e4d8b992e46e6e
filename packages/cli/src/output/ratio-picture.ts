import type { GuardrailVerdict } from "@bunting/contracts";
import type { Style, Theme } from "./theme.ts";

/** Canary over control: an estimate, and between which ratios it surely lies. null: nothing is known on that side. */
export type RateRatio = NonNullable<GuardrailVerdict["rateRatio"]>;

/** An odd number of characters, so that there is a middle. */
export const PICTURE_WIDTH = 31;

const EDGES = [2, 4, 10, 100] as const;

/** The ratio at the right edge; the left one is its inverse. The narrowest that holds all that is known. */
export function edgeOf(ratios: readonly RateRatio[]): number {
  const farthest = Math.max(
    1,
    ...ratios
      .flatMap(({ low, estimate, high }) => [low, estimate, high])
      .filter((ratio) => ratio !== null && ratio > 0 && Number.isFinite(ratio))
      .map((ratio) => Math.exp(Math.abs(Math.log(ratio ?? 1)))),
  );
  return EDGES.find((edge) => farthest <= edge) ?? 100;
}

/** `÷4             =             ×4`: what stands above the pictures. */
export function ratioScale(edge: number): string {
  const [left, right] = [`÷${edge}`, `×${edge}`];
  const middle = (PICTURE_WIDTH - 1) / 2;
  return `${left.padEnd(middle)}=${right.padStart(middle)}`;
}

/**
 * `·········├────●──┤·┊·············`: the confidence interval on a logarithmic scale, with the middle where both arms are
 * alike. An arrow means that it goes on beyond the edge, or that nothing bounds it.
 */
export function ratioPicture(
  { low, estimate, high }: RateRatio,
  { edge, style }: { readonly edge: number; readonly style: Style },
  theme: Theme,
): string {
  const last = PICTURE_WIDTH - 1;
  const middle = last / 2;
  const position = (ratio: number): number => {
    const share = Math.log(ratio) / Math.log(edge);
    return middle + Math.sign(share) * Math.round(Math.abs(share) * middle);
  };
  const from = low === null || low <= 0 ? -1 : position(low);
  const to = high === null ? last + 1 : position(high);
  const at = estimate <= 0 ? 0 : Math.min(last, Math.max(0, position(estimate)));
  const cell = (index: number): string => {
    if (index === at) return theme.paint(style, "●");
    if (index === 0 && from < 0) return theme.paint(style, "◄");
    if (index === last && to > last) return theme.paint(style, "►");
    if (index === from) return theme.paint(style, "├");
    if (index === to) return theme.paint(style, "┤");
    if (index > from && index < to) return theme.paint(style, index === middle ? "┼" : "─");
    return theme.paint("faint", index === middle ? "┊" : "·");
  };
  return Array.from({ length: PICTURE_WIDTH }, (_, index) => cell(index)).join("");
}
