import type { EvidenceCell, Json, Rollout, RolloutCommand, RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { type CommandInputs, decideCommand } from "./command.ts";
import { type DecisionInputs, decide } from "./decide.ts";
import type { Sample } from "./judgement.ts";
import { type KeptInputs, restoreInputs } from "./kept-inputs.ts";
import { isLive } from "./machine.ts";
import { stateOf } from "./rollout.ts";
import { cellsOf, exposedAt, OFF, ON, planWith, rolloutWith, TUESDAY } from "./rollout-fixture.ts";
import type { DecisionDraft, Ruling } from "./ruling.ts";
import type { History } from "./what-if.ts";
import { indexAt, toHistoryCell } from "./what-if-history.ts";

/* An attempt that is decided and stored as a server does it, with whatever happens in it. */

const standard = { onFail: "rollback", forSeconds: 0, required: true, exclusive: false } as const;

export const plans: fc.Arbitrary<RolloutPlan> = fc
  .record({
    decideBy: fc.constantFrom("evidence" as const, "threshold" as const),
    autoPromote: fc.boolean(),
    analysisIntervalSeconds: fc.constantFrom(10, 30, 60),
    approval: fc.boolean(),
    forSeconds: fc.constantFrom(0, 60),
  })
  .map(({ approval, forSeconds, ...fields }) =>
    planWith({
      ...fields,
      minSamples: 20,
      maxStageSeconds: 120,
      stages: [
        { percent: 10, bakeSeconds: 30, ...(approval ? { approval: true as const } : {}) },
        { percent: 50, bakeSeconds: 30 },
        { percent: 100, bakeSeconds: 30 },
      ],
      guardrails: [
        { ...standard, metric: "error_rate", max: 0.05, worseThanControl: true, forSeconds },
        { ...standard, metric: "latency_p99", maxIncreasePercent: 25, maxMs: 900 },
        { ...standard, source: "prometheus", query: "up", max: 0.5, forSeconds },
        { ...standard, metric: "score", kind: "gauge", min: 50, maxAgeSeconds: 300, onFail: "hold" },
      ],
    }),
  );

/** Ten seconds in the life of a rollout. */
export interface Happening {
  readonly errorCount: number;
  readonly isSilent: boolean;
  /** Intervals by which the canary's report comes late. */
  readonly lateness: number;
  readonly up: number | "error";
  readonly score: number;
  readonly openInstanceCount: number;
  readonly command: RolloutCommand | null;
  readonly isChangedByHand: boolean;
  /** Evidence that is not settled yet makes the controller look. */
  readonly isFast: boolean;
}

/** A healthy look at which nobody does anything. */
export const usual: Happening = {
  errorCount: 1,
  isSilent: false,
  lateness: 0,
  up: 0.1,
  score: 90,
  openInstanceCount: 0,
  command: null,
  isChangedByHand: false,
  isFast: false,
};

const often = <Usual>(usual: Usual, ...others: Usual[]): fc.Arbitrary<Usual> =>
  fc.constantFrom(...Array.from({ length: 40 }, () => usual), ...others);

export const happenings: fc.Arbitrary<readonly Happening[]> = fc.array(
  fc.record({
    errorCount: often(1, 0, 0, 0, 2, 2, 3, 30),
    isSilent: often(false, true),
    lateness: often(0, 1, 1, 2, 3, 7),
    up: often<number | "error">(0.1, "error", 0.6),
    score: often(90, 40),
    openInstanceCount: often(0, 1, 2),
    command: often<RolloutCommand | null>(
      null,
      "pause",
      "resume",
      "resume",
      "promote",
      "promote",
      "approve",
      "approve",
      "reject",
    ),
    isChangedByHand: fc.integer({ min: 0, max: 200 }).map((one) => one === 200),
    isFast: often(false, true),
  }),
  { minLength: 20, maxLength: 90 },
);

const ANA = { name: "ana", token: "t-1", roles: [] };

export type StoredRow = EvidenceCell & { readonly availableAt: number };

export class AttemptOnRecord {
  readonly decisions: DecisionDraft[] = [];
  readonly #records: { id: string; inputs: Json }[] = [];
  /** Stored, in the order in which it came. */
  readonly rows: StoredRow[] = [];
  readonly #samples: Record<string, Sample> = {};
  #rollout: Rollout;
  #configurationVersion = 3;
  #latest: DecisionDraft | null = null;
  #now = TUESDAY;
  #lookedAt = TUESDAY;

  constructor(plan: RolloutPlan) {
    this.#rollout = rolloutWith({ plan });
    this.#command("start");
    this.decisions.length = 0;
  }

  get history(): History {
    return { rollout: this.#rollout, cells: this.rows.map(toHistoryCell), records: this.#records, until: this.#now };
  }

  live(happening: Happening): void {
    if (!isLive(stateOf(this.#rollout))) return;
    const { lateness, up, score, command, isSilent, isFast, openInstanceCount } = happening;
    const cells = isSilent ? [] : this.#traffic(happening);
    const interval = indexAt(this.#now);
    const availableAt = interval + 2;
    const breakers = { openInstanceCount, canaryInstanceCount: 3 };
    if (isFast) this.#look(breakers, cells);
    for (const cell of cells) {
      this.rows.push({ ...cell, availableAt: availableAt + (cell.variant === ON ? lateness : 0) });
    }
    this.#samples["prometheus-1"] =
      up === "error" ? { at: this.#now, error: "connection refused" } : { at: this.#now, value: up };
    this.#samples["score"] = { at: this.#now, value: score };
    if (happening.isChangedByHand) this.#configurationVersion += 1;
    this.#now += EVIDENCE_INTERVAL_MS;
    if (command !== null) this.#command(command);
    const { analysisIntervalSeconds } = this.#rollout.plan;
    if (this.#now - this.#lookedAt >= analysisIntervalSeconds * 1000) this.#look(breakers, []);
  }

  #traffic({ errorCount }: Happening): EvidenceCell[] {
    const { percent, stage } = this.#rollout;
    const one = { outcomeCount: 200, p50Ms: 50, p99Ms: 200 };
    const arms = exposedAt(Math.min(percent, 99), {
      canary: { ...one, errorCount },
      control: { ...one, errorCount: 1 },
    });
    const span = { from: this.#now, to: this.#now + EVIDENCE_INTERVAL_MS, stage: stage ?? 0 };
    return cellsOf(span, percent === 100 ? { canary: arms.canary } : arms);
  }

  #look(breakers: DecisionInputs["breakers"], fresh: readonly EvidenceCell[]): void {
    if (!isLive(stateOf(this.#rollout))) return;
    this.#lookedAt = this.#now;
    const through = indexAt(this.#now);
    const settled = this.rows.filter(({ availableAt }) => availableAt <= through);
    const kept: KeptInputs = {
      kind: "analysis",
      rollout: this.#rollout,
      flag: { killed: false, configurationVersion: this.#configurationVersion },
      samples: { ...this.#samples },
      breakers,
      previous: this.#latest,
      now: this.#now,
      through,
      settledCount: settled.length,
      fresh,
    };
    const inputs = restoreInputs(kept, settled);
    if (inputs === null) throw new Error("Evidence went missing.");
    const ruling = decide(inputs);
    this.#latest = ruling.decision;
    this.#record(ruling, kept);
  }

  #command(type: RolloutCommand): void {
    const inputs: CommandInputs = {
      kind: "command",
      rollout: this.#rollout,
      command: { type, by: ANA, comment: "as ana wants" },
      variants: [ON, OFF],
      configuration: { rules: [], fallthrough: { variant: OFF }, killed: null, version: this.#configurationVersion },
      latest: this.#latest,
      now: this.#now,
    };
    const ruling = decideCommand(inputs);
    if (!("refusal" in ruling)) this.#record(ruling, inputs);
  }

  /** As the ledger does: versions count what was written, and a change of the flag is one of its configuration. */
  #record({ decision, rollout, transition }: Ruling, inputs: KeptInputs | CommandInputs): void {
    const id = `r-1.${this.#records.length + 1}`;
    const writes = transition.effects.some(({ type }) => type === "set_percent" || type === "restore_control");
    if (writes) this.#configurationVersion += 1;
    this.decisions.push(decision);
    this.#records.push({ id, inputs: JSON.parse(JSON.stringify(inputs)) as Json });
    this.#rollout = {
      ...rollout,
      version: rollout.version + 1,
      latestDecision: id,
      configurationVersion: writes ? this.#configurationVersion : this.#rollout.configurationVersion,
    };
  }
}
