/** A bar of `width` cells: filled up to the observed share, with a mark where the configured share is. Shares are 0 to 1. */
export function bar(shares: { readonly observed: number; readonly configured: number }, width = 28): string {
  const filled = Math.round(clamp(shares.observed) * width);
  const mark = Math.min(width - 1, Math.round(clamp(shares.configured) * width));
  const cells = Array.from({ length: width }, (_, cell) => {
    if (cell === mark) return cell < filled ? "▓" : "│";
    return cell < filled ? "█" : "·";
  });
  return cells.join("");
}

/** 0.4981 → "49.8 %". One decimal is what a few thousand checkouts can support. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

export function count(number: number): string {
  return number.toLocaleString("en-GB");
}

/** Milliseconds as a person reads them. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
