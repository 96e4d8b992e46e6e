import {
  type ConfigurationView,
  configurationView,
  type Decision,
  type DecisionCounts,
  decision as decisionSchema,
  type Flag,
  flag as flagSchema,
  type GuardrailVerdict,
  guardrailVerdict,
  type Receipt,
  type RolloutView,
  receipt as receiptSchema,
  rolloutView,
} from "@bunting/contracts";
import { createTheme, type Theme } from "./output/theme.ts";
import type { World } from "./world.ts";

/** A world for tests: nobody at the terminal, no files, no network, time that passes only by sleeping. */
export function createTestWorld(differences: Partial<World> = {}) {
  let [out, err] = ["", ""];
  let elapsed = 0;
  const slept: number[] = [];
  const world: World = {
    env: {},
    stdout: { write: (text) => void (out += text), isTerminal: false, columns: 100, rows: 40 },
    stderr: { write: (text) => void (err += text), isTerminal: false, columns: 100, rows: 40 },
    isInteractive: false,
    readFile: () => undefined,
    writeFile: () => undefined,
    newFile: () => ({ write: () => undefined, keep: () => undefined, discard: () => undefined }),
    fetch: (url, init) => fetch(url, init),
    sleep: (ms) => {
      slept.push(ms);
      elapsed += ms;
      return Promise.resolve();
    },
    monotonic: () => elapsed,
    now: () => Date.UTC(2026, 0, 31, 12),
    random: () => 0.5,
    engine: "node test",
    uniqueKey: () => "one-key",
    ask: () => Promise.resolve(undefined),
    confirm: () => Promise.resolve(false),
    progress: () => ({ update: () => undefined, end: () => undefined }),
    ...differences,
  };
  return { world, slept, out: () => out, err: () => err };
}

export const PLAIN: Theme = createTheme({ columns: 100, hasColours: false });
export const COLOURFUL: Theme = createTheme({ columns: 100, hasColours: true });

/** Of the right form, and no server's. */
export const TOKEN = `bnt_admin_${"a".repeat(12)}_${"b".repeat(43)}cccccc`;

export function sampleFlag(differences: object = {}): Flag {
  return flagSchema.parse({
    key: "redis-readthrough",
    type: "boolean",
    description: "",
    owner: "",
    tags: [],
    lifecycle: "release",
    metadata: {},
    variants: { on: { value: true }, off: { value: false } },
    retiredVariants: {},
    archivedAt: null,
    createdAt: "2026-01-01T00:00:00.000Z",
    version: 1,
    ...differences,
  });
}

export function sampleConfiguration(differences: object = {}): ConfigurationView {
  return configurationView.parse({
    flag: "redis-readthrough",
    environment: "production",
    enabled: true,
    killed: null,
    offVariant: "off",
    salt: 1,
    cohort: null,
    bucketBy: ["key"],
    pins: {},
    prerequisites: [],
    rules: [],
    fallthrough: { split: { on: 25, off: 75 } },
    version: 12,
    updatedAt: "2026-01-01T00:00:00.000Z",
    position: { epoch: "e", revision: 318 },
    ...differences,
  });
}

export function sampleReceipt(differences: object = {}): Receipt {
  return receiptSchema.parse({
    environment: "production",
    epoch: "e",
    revision: 318,
    committedAt: "2026-01-31T11:59:59.000Z",
    connected: 2413,
    applied: 2413,
    pendingCount: 0,
    pending: [],
    late: 0,
    latencyMs: { p50: 9.44, p95: 20.2, p99: 31.4, max: 1044 },
    complete: true,
    ...differences,
  });
}

const FREE_OF_HARM = { onFail: "rollback", forSeconds: 0, required: true, exclusive: false };

/** Running in its third stage, by the classic plan. */
export function sampleRollout(differences: object = {}): RolloutView {
  return rolloutView.parse({
    id: "ro-5f1c09a27be4",
    environment: "production",
    flag: "redis-readthrough",
    plan: {
      canary: "on",
      control: "off",
      stages: [
        { percent: 1, bakeSeconds: 300 },
        { percent: 5, bakeSeconds: 300 },
        { percent: 25, bakeSeconds: 300 },
        { percent: 50, bakeSeconds: 300, approval: true },
        { percent: 100, bakeSeconds: 3600 },
      ],
      guardrails: [
        { metric: "error_rate", max: 0.01, worseThanControl: true, ...FREE_OF_HARM },
        { metric: "latency_p99", maxMs: 500, ...FREE_OF_HARM },
      ],
    },
    state: "running",
    attempt: 1,
    stage: 2,
    percent: 25,
    configurationVersion: 15,
    formerServe: { variant: "off" },
    startedAt: "2026-01-31T11:48:00.000Z",
    startedBy: "Ana",
    stageStartedAt: "2026-01-31T11:57:00.000Z",
    askedAt: null,
    endedAt: null,
    because: "Held at 25 % (baking): 180 s of 300 s of evidence.",
    signatures: [],
    checklist: [],
    latestDecision: "ro-5f1c09a27be4.12",
    createdBy: "Ana",
    createdAt: "2026-01-31T11:40:00.000Z",
    version: 4,
    nextStep: { step: "promote", notBefore: "2026-01-31T12:02:00.000Z", waitsFor: ["120 s of evidence"] },
    guardrails: [sampleVerdict()],
    bakedSeconds: 180,
    counts: sampleCounts(),
    ...differences,
  });
}

export function sampleCounts(): DecisionCounts {
  const counts = { exposureCount: 12_400, outcomeCount: 12_345, errorCount: 52, unitCount: 9_800 };
  return { canary: counts, control: { ...counts, exposureCount: 37_000, errorCount: 148 } };
}

export function sampleVerdict(differences: object = {}): GuardrailVerdict {
  return guardrailVerdict.parse({
    id: "error_rate",
    limit: "error_rate <= 1 % and not worse than the control",
    required: true,
    onFail: "rollback",
    verdict: "pass",
    cause: null,
    canary: 0.0042,
    control: 0.004,
    rateRatio: { low: 0.7, estimate: 1.05, high: 1.6 },
    logEvidence: -3.2,
    logNonInferiority: 2.4,
    failingSince: null,
    explanation: "0.42 % against 0.4 %.",
    ...differences,
  });
}

export function sampleDecision(differences: object = {}): Decision {
  return decisionSchema.parse({
    id: "ro-5f1c09a27be4.12",
    rollout: "ro-5f1c09a27be4",
    attempt: 1,
    stage: 2,
    at: "2026-01-31T11:59:50.000Z",
    by: "controller",
    verdict: "hold",
    cause: "baking",
    action: "none",
    forced: false,
    because: "Held at 25 % (baking): 180 s of 300 s of evidence.",
    guardrails: [],
    bakedSeconds: 180,
    counts: sampleCounts(),
    nextStep: { step: "promote", notBefore: null, waitsFor: [] },
    revision: null,
    engine: "node test",
    ...differences,
  });
}

export function samplePending(instance: string, differences: object = {}) {
  return {
    instance,
    boot: "b-1",
    sdk: "bunting-node/1.0.0",
    connected: true,
    acknowledged: 317,
    lastSeenAt: "2026-01-31T11:59:58.000Z",
    ...differences,
  };
}
