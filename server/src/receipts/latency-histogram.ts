/** Each bucket is 4 % wider than the one before: a quantile is at most 2 % off. */
const GROWTH = 1.04;
const SMALLEST_MS = 0.1;
/** 0.1 ms to about 10 minutes. */
const BUCKET_COUNT = 400;

/** Latencies of one revision. The maximum is exact, quantiles are the geometric middle of their bucket. */
export interface LatencyHistogram {
  add(latencyMs: number): void;
  /** Null before the first. */
  summary(): { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number } | null;
}

export function createLatencyHistogram(): LatencyHistogram {
  const buckets = new Uint32Array(BUCKET_COUNT);
  let count = 0;
  let max = 0;

  const quantile = (share: number): number => {
    const rank = Math.ceil(share * count);
    let seen = 0;
    for (const [index, bucketCount] of buckets.entries()) {
      seen += bucketCount;
      if (seen >= rank) return Math.min(max, middleOf(index));
    }
    return max;
  };

  return {
    add(latencyMs) {
      const index = bucketOf(latencyMs);
      buckets[index] = (buckets[index] ?? 0) + 1;
      count += 1;
      max = Math.max(max, latencyMs);
    },
    summary() {
      if (count === 0) return null;
      return {
        p50: round(quantile(0.5)),
        p95: round(quantile(0.95)),
        p99: round(quantile(0.99)),
        max: round(max),
      };
    },
  };
}

function bucketOf(latencyMs: number): number {
  if (!(latencyMs > SMALLEST_MS)) return 0;
  return Math.min(BUCKET_COUNT - 1, Math.ceil(Math.log(latencyMs / SMALLEST_MS) / Math.log(GROWTH)));
}

function middleOf(index: number): number {
  return index === 0 ? SMALLEST_MS : SMALLEST_MS * GROWTH ** (index - 0.5);
}

/** To a hundredth of a millisecond. */
function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
