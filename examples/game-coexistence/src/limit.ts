/** What a measured value is held to. */
export type Limit =
  | { readonly kind: "below" | "above" | "at_most" | "exactly"; readonly value: number }
  | { readonly kind: "between"; readonly from: number; readonly to: number };

export function holds(limit: Limit, measured: number): boolean {
  switch (limit.kind) {
    case "below":
      return measured < limit.value;
    case "above":
      return measured > limit.value;
    case "at_most":
      return measured <= limit.value;
    case "exactly":
      return measured === limit.value;
    case "between":
      return measured >= limit.from && measured <= limit.to;
  }
}

const SIGNS = { below: "<", above: ">", at_most: "≤", exactly: "=" } as const;

export function inWords(limit: Limit): string {
  return limit.kind === "between" ? `${limit.from} to ${limit.to}` : `${SIGNS[limit.kind]} ${limit.value}`;
}
