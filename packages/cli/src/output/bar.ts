import type { Serve } from "@bunting/contracts";
import type { Style, Theme } from "./theme.ts";
import { formatPercent } from "./words.ts";

/** What share of users gets a variant. */
export interface Share {
  readonly variant: string;
  readonly percent: number;
  readonly isOff: boolean;
}

/** Shares in the order of the flag's variants, so that a variant keeps its colour when percentages change. */
export function sharesOf(serve: Serve, variants: readonly string[], offVariant: string): Share[] {
  const percents = "split" in serve ? serve.split : { [serve.variant]: 100 };
  const order = [...variants, ...Object.keys(percents).filter((variant) => !variants.includes(variant))];
  return order.map((variant) => ({
    variant,
    percent: (percents as Record<string, number>)[variant] ?? 0,
    isOff: variant === offVariant,
  }));
}

/** `████████░░░░░░░░` */
export function bar(shares: readonly Share[], width: number, theme: Theme): string {
  const cells = cellsOf(
    shares.map(({ percent }) => percent),
    width,
  );
  return shares.map((share, index) => paintShare(share, index, cells[index] ?? 0, theme)).join("");
}

/** `on 25 %  off 75 %`, without the variants nobody gets. */
export function legend(shares: readonly Share[], theme: Theme): string {
  return shares
    .map((share, index) => ({ share, style: styleOf(share, index) }))
    .filter(({ share }) => share.percent > 0)
    .map(({ share, style }) => theme.paint(style, `${share.variant} ${formatPercent(share.percent)}`))
    .join("  ");
}

/**
 * Splits `width` cells in proportion by largest remainder. Whoever has anything at all gets at least one cell, and whoever
 * has not everything leaves at least one: 0.1 % and 99.9 % must not look like 0 and 100.
 */
export function cellsOf(percents: readonly number[], width: number): number[] {
  const total = percents.reduce((sum, percent) => sum + percent, 0) || 1;
  const exact = percents.map((percent) => (percent / total) * width);
  const cells = exact.map((share) => (share > 0 ? Math.max(1, Math.floor(share)) : 0));
  const sum = () => cells.reduce((left, right) => left + right, 0);
  const most = (measure: (index: number) => number): number =>
    cells.reduce((best, _, index) => (measure(index) > measure(best) ? index : best), 0);
  while (sum() < width && percents.some((percent) => percent > 0)) {
    const index = most((each) => (exact[each] ?? 0) - (cells[each] ?? 0));
    cells[index] = (cells[index] ?? 0) + 1;
  }
  while (sum() > width) {
    const index = most((each) => cells[each] ?? 0);
    if ((cells[index] ?? 0) <= 1) break;
    cells[index] = (cells[index] ?? 0) - 1;
  }
  return cells;
}

const VARIANT_STYLES: readonly Style[] = ["variant1", "variant2", "variant3", "variant4", "variant5"];
/** Without colours variants are told apart by density. */
const FILLS = ["█", "▓", "▒"];

function styleOf(share: Share, index: number): Style {
  return share.isOff ? "faint" : (VARIANT_STYLES[index % VARIANT_STYLES.length] ?? "variant1");
}

function paintShare(share: Share, index: number, cells: number, theme: Theme): string {
  const fill = share.isOff ? "░" : theme.hasColours ? "█" : (FILLS[index % FILLS.length] ?? "█");
  return theme.paint(styleOf(share, index), fill.repeat(cells));
}
