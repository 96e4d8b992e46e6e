/*
 * What /openapi.json shows as answers: the story of http/examples.ts, measured.
 */

const AT = "2026-11-20T03:04:00.000Z";

const MEASUREMENT = {
  exposureCount: 5_120,
  outcomeCount: 5_102,
  errorCount: 31,
  exposuresPerSecond: 85.33,
  errorRate: 0.006076,
  latencyMs: { p50: 12.06, p95: 48.4, p99: 131.6 },
  metrics: { conversion: { eventCount: 204, unitEventCount: 201, unitRate: 0.0412, sum: 9_180, mean: 45 } },
};

export const ROLLOUT_METRICS = {
  rollout: "7Qm0ZxT7rB2k",
  attempt: 1,
  canary: "on",
  control: "off",
  resolutionSeconds: 60,
  from: "2026-11-20T02:04:00.000Z",
  to: "2026-11-20T03:05:00.000Z",
  latencyErrorRate: 0.01,
  variants: { on: { total: MEASUREMENT, points: [{ at: AT, ...MEASUREMENT }] } },
  rateRatio: { errorBudget: 0.01, points: [{ at: AT, low: 0.77, estimate: 1.09, high: 1.54 }] },
};

export const EVIDENCE_ROW = {
  rollout: "7Qm0ZxT7rB2k",
  attempt: 1,
  stage: 1,
  variant: "on",
  interval: 179_514_384,
  availableAt: 179_514_386,
  exposureCount: 12,
  unitCount: 9,
  outcomeCount: 12,
  errorCount: 1,
  unitErrorCount: 1,
  uncheckedCount: 0,
  groups: [
    [3, 5, 7, 1, 1],
    [17, 4, 5, 0, 0],
  ],
  sketch: [
    [120, 9],
    [131, 3],
  ],
  ladder: [
    [3, 0, 4],
    [17, 0, 2],
  ],
};

export const GAUGE_VALUE = { environment: "production", metric: "lighthouse", value: 93, at: AT };

export const UNKNOWN_NAMES = {
  environment: "production",
  flags: [{ flag: "redis-readthru", evaluationCount: 8_120, lastSeenAt: AT }],
  variants: [{ flag: "redis-readthrough", variant: "maybe", exposureCount: 12, lastSeenAt: AT }],
  refusedEvidence: { unknown_attempt: 2 },
};
