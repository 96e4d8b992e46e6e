import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  type EnvironmentKey,
  type EvidenceCell,
  type Flag,
  type FlagKey,
  type Rollout,
  type RolloutPlanInput,
  rolloutPlan,
  type TelemetryBatch,
} from "@bunting/contracts";
import { Registry } from "prom-client";
import { createLogger } from "../ops/log.ts";
import type { Clock, Scheduler } from "../ports.ts";
import { openTelemetry, type Telemetry, type TelemetryAnswer } from "../telemetry/telemetry.ts";
import type { EvidenceSource } from "./evidence.ts";
import { createStoredEvidence } from "./stored-evidence.ts";

/*
 * Telemetry with a real database and a fake clock, for tests of what it keeps of rollouts.
 */

export const PRODUCTION = "production" as EnvironmentKey;
export const STAGING = "staging" as EnvironmentKey;
const FLAG = "redis" as FlagKey;
/** A full interval begins here. */
export const NOON = 1_767_268_800_000;
export const NOON_INTERVAL = NOON / 10_000;

/** What of the testkit's fake time is needed here. */
export interface RigTime {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  advanceAsync(ms: number): Promise<void>;
  jumpWallClock(ms: number): void;
}

export interface EvidenceRig {
  readonly time: RigTime;
  readonly folder: string;
  readonly file: string;
  readonly registry: Registry;
  readonly rollouts: Map<string, Rollout>;
  telemetry: Telemetry;
  evidence: EvidenceSource;
  /** Records the next batch of an instance and waits for its answer. */
  report(more?: Partial<TelemetryBatch>, environment?: EnvironmentKey): Promise<TelemetryAnswer>;
  /** Closes the database and opens it again, as a restart does. */
  restart(): void;
  dispose(): void;
}

export function createEvidenceRig(time: RigTime): EvidenceRig {
  const folder = mkdtempSync(path.join(tmpdir(), "bunting-evidence-"));
  const file = path.join(folder, "telemetry.db");
  const flag = { variants: { on: {}, off: {}, third: {} }, retiredVariants: {} } as unknown as Flag;
  const rollouts = new Map([["r1", aRollout()]]);
  const registry = new Registry();
  const sequences = new Map<string, number>();
  const open = (): Telemetry => {
    registry.clear();
    return openTelemetry({
      file,
      state: () => ({ flags: new Map([[FLAG, flag]]) }),
      rollout: (id) => rollouts.get(id),
      clock: time.clock,
      scheduler: time.scheduler,
      logger: createLogger("error", () => {}),
      registry,
    });
  };
  const telemetry = open();
  const rig: EvidenceRig = {
    time,
    folder,
    file,
    registry,
    rollouts,
    telemetry,
    evidence: createStoredEvidence({ telemetry, clock: time.clock }),
    async report(more = {}, environment = PRODUCTION) {
      const { instance = "i", boot = "b" } = more;
      const identity = `${environment}/${instance}/${boot}`;
      const sequence = more.sequence ?? (sequences.get(identity) ?? 0) + 1;
      sequences.set(identity, sequence);
      const answer = rig.telemetry.record(environment, { ...aBatch(sequence), ...more });
      await time.advanceAsync(50);
      return answer;
    },
    restart() {
      rig.telemetry.close();
      rig.telemetry = open();
      rig.evidence = createStoredEvidence({ telemetry: rig.telemetry, clock: time.clock });
    },
    dispose() {
      rig.telemetry.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return rig;
}

function aBatch(sequence: number): TelemetryBatch {
  return { instance: "i", boot: "b", sequence, from: 0, to: 0, ageMs: 0, cells: [] };
}

/** Ten exposures of the canary with one error, at noon. */
export function aCell(more: Partial<EvidenceCell> = {}): EvidenceCell {
  return {
    rollout: "r1",
    attempt: 1,
    stage: 0,
    variant: "on" as EvidenceCell["variant"],
    interval: NOON_INTERVAL,
    exposureCount: 10,
    unitCount: 8,
    outcomeCount: 9,
    errorCount: 1,
    unitErrorCount: 1,
    uncheckedCount: 0,
    groups: [
      [3, 5, 6, 1, 1],
      [17, 3, 3, 0, 0],
    ],
    sketch: [
      [200, 5],
      [230, 4],
    ],
    ladder: [[3, 0, 6]],
    ...more,
  };
}

export const OFF = "off" as EvidenceCell["variant"];

export function aRollout(plan: Partial<RolloutPlanInput> = {}, more: Partial<Rollout> = {}): Rollout {
  return {
    id: "r1",
    environment: PRODUCTION,
    flag: FLAG,
    plan: rolloutPlan.parse({ canary: "on", control: "off", stages: [{ percent: 5 }, { percent: 50 }], ...plan }),
    state: "running",
    attempt: 1,
    stage: 0,
    percent: 5,
    configurationVersion: 2,
    formerServe: null,
    startedAt: "2026-01-01T12:00:00.000Z",
    startedBy: "somebody",
    stageStartedAt: "2026-01-01T12:00:00.000Z",
    askedAt: null,
    endedAt: null,
    because: "",
    signatures: [],
    checklist: [],
    latestDecision: null,
    createdBy: "somebody",
    createdAt: "2026-01-01T11:00:00.000Z",
    version: 1,
    ...more,
  };
}
