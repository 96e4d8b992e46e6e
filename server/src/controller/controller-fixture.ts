import type { EvidenceCell, FlagKey, Rollout, RolloutPlanInput } from "@bunting/contracts";
import { EVIDENCE_GROUPS, EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { armFromCells, type Breakers, type EvidenceInterval, type Sample } from "@bunting/gating";
import { Registry } from "prom-client";
import type {
  AttemptArms,
  AvailabilityRange,
  EvidencePageRange,
  EvidencePlace,
  EvidenceRow,
  EvidenceSource,
} from "../evidence/evidence.ts";
import type { Actor, Command, Outcome } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { actor, createFlag, flagKeyOf, PRODUCTION, type Surroundings, TestFolder } from "../ledger/ledger-fixture.ts";
import type { LedgerOptions } from "../ledger/open-ledger.ts";
import type { StoredRollout } from "../ledger/state.ts";
import { planOf } from "../rollouts/rollout-fixture.ts";
import { type Controller, type ControllerDeps, startController } from "./controller.ts";

/*
 * For tests of this package only: a real ledger, a real controller, time that the test moves, and evidence that the test makes
 * up.
 */

/** 2026-11-24, a Tuesday, 15:00 in Paris. */
export const TUESDAY = 1_795_528_800_000;

export const FLAG: FlagKey = flagKeyOf("checkout");

/** What one arm did within one interval. */
export interface Traffic {
  readonly outcomeCount: number;
  readonly errorCount?: number;
}

/** Evidence as a test tells it, with the same promises as the stored one: what was usable at an index never changes. */
export class ScriptedEvidence implements Pick<EvidenceSource, "onArrival" | keyof ControllerEvidence> {
  readonly #rows: EvidenceRow[] = [];
  readonly #listeners = new Set<(rollout: string) => void>();
  readonly #now: () => number;
  #index = 0;
  isReadable = true;
  readonly sampled = new Map<string, Sample>();
  open: Breakers = { openInstanceCount: 0, canaryInstanceCount: 0 };

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Something arrives that was counted in the interval of this moment, or some intervals before. */
  report(rollout: Rollout, variant: string, traffic: Traffic, intervalsAgo = 0): void {
    const interval = Math.floor(this.#now() / EVIDENCE_INTERVAL_MS) - intervalsAgo;
    const availableAt = Math.max(interval + 2, this.through() + 1);
    this.#rows.push({ ...cellOf(rollout, variant, interval, traffic), availableAt });
    this.announce(rollout.id);
  }

  announce(rollout: string): void {
    for (const listener of this.#listeners) listener(rollout);
  }

  /** Never goes back, as a clock may. */
  through(): number {
    this.#index = Math.max(this.#index, Math.floor(this.#now() / EVIDENCE_INTERVAL_MS));
    return this.#index;
  }

  cells({ rollout, attempt }: AttemptArms, { after = -1, through }: AvailabilityRange): readonly EvidenceRow[] | null {
    if (!this.isReadable) return null;
    return this.#of(rollout, attempt)
      .filter(({ availableAt }) => after < availableAt && availableAt <= through)
      .sort((a, b) => a.interval - b.interval || a.stage - b.stage);
  }

  page(arms: AttemptArms, { after, through, limit }: EvidencePageRange): readonly EvidenceRow[] | null {
    const rows = this.cells(arms, { through })?.toSorted(byPlace);
    return rows?.filter((row) => after === null || byPlace(row, after) > 0).slice(0, limit) ?? null;
  }

  recentCells({ rollout, attempt }: AttemptArms, now: number): readonly EvidenceRow[] {
    const since = Math.floor((now - 60_000) / EVIDENCE_INTERVAL_MS);
    const present = Math.floor(now / EVIDENCE_INTERVAL_MS);
    const rows = this.isReadable ? this.#of(rollout, attempt) : [];
    return rows.filter(({ interval }) => since <= interval && interval <= present);
  }

  recent(arms: AttemptArms, now: number): readonly EvidenceInterval[] {
    const rows = this.recentCells(arms, now);
    const armOf = (there: EvidenceRow, variant: string) =>
      armFromCells(rows.filter((row) => isSamePlace(row, there) && row.variant === variant));
    return rows
      .filter((row, index) => rows.findIndex((other) => isSamePlace(row, other)) === index)
      .map((row) => ({
        interval: row.interval,
        stage: row.stage,
        canary: armOf(row, arms.canary),
        control: armOf(row, arms.control),
      }));
  }

  breakers(): Breakers {
    return this.open;
  }

  samples(): ReadonlyMap<string, Sample> {
    return this.sampled;
  }

  onArrival(listener: (rollout: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #of(rollout: string, attempt: number): readonly EvidenceRow[] {
    return this.#rows.filter((row) => row.rollout === rollout && row.attempt === attempt);
  }
}

const isSamePlace = (one: EvidenceRow, other: EvidenceRow): boolean =>
  one.interval === other.interval && one.stage === other.stage;

function byPlace(one: EvidencePlace, other: EvidencePlace): number {
  const byVariant = one.variant < other.variant ? -1 : one.variant > other.variant ? 1 : 0;
  return one.interval - other.interval || one.stage - other.stage || byVariant || one.availableAt - other.availableAt;
}

type ControllerEvidence = Pick<
  EvidenceSource,
  "through" | "cells" | "page" | "recent" | "recentCells" | "breakers" | "samples"
>;

/** Spread evenly over all groups, one outcome per user. */
function cellOf(
  { id, attempt, stage }: Rollout,
  variant: string,
  interval: number,
  { outcomeCount, errorCount = 0 }: Traffic,
): EvidenceCell {
  const share = (count: number, group: number): number =>
    Math.floor((count * (group + 1)) / EVIDENCE_GROUPS) - Math.floor((count * group) / EVIDENCE_GROUPS);
  return {
    rollout: id,
    attempt,
    stage: stage ?? 0,
    variant: variant as EvidenceCell["variant"],
    interval,
    exposureCount: outcomeCount,
    unitCount: outcomeCount,
    outcomeCount,
    errorCount,
    unitErrorCount: errorCount,
    uncheckedCount: 0,
    groups: Array.from({ length: EVIDENCE_GROUPS }, (_, group) => [
      group,
      share(outcomeCount, group),
      share(outcomeCount, group),
      share(errorCount, group),
      share(errorCount, group),
    ]),
    sketch: [],
    ladder: [],
  };
}

const OWNER: Actor = { ...actor("operator"), name: "release owner" };

/** As the testkit makes it. */
type MovableTime = Surroundings["time"] & {
  readonly advance: (ms: number) => void;
  readonly jumpWallClock: (ms: number) => void;
};

export class ControllerWorld {
  readonly time: MovableTime;
  readonly folder: TestFolder;
  readonly evidence: ScriptedEvidence;
  registry = new Registry();
  ledger: Ledger;
  #controller: Controller | null = null;

  constructor(surroundings: Surroundings & { readonly time: MovableTime }) {
    this.time = surroundings.time;
    this.folder = new TestFolder(surroundings);
    this.evidence = new ScriptedEvidence(() => this.time.clock.now());
    this.ledger = this.folder.open().ledger;
    this.do(createFlag(FLAG), actor());
  }

  /** Carries the command out, and throws if it is refused. */
  do(command: Command, by: Actor = OWNER): Extract<Outcome, { ok: true }> {
    const outcome = this.ledger.execute(command, by);
    if (!outcome.ok) throw new Error(`${command.type} was refused: ${JSON.stringify(outcome.refusal)}`);
    return outcome;
  }

  create(fields: Partial<RolloutPlanInput> = {}, flag: FlagKey = FLAG): string {
    const { audit } = this.do({ type: "create_rollout", environment: PRODUCTION, flag, plan: planOf(fields) });
    return audit[0]?.object.key ?? "";
  }

  start(fields: Partial<RolloutPlanInput> = {}): string {
    const id = this.create(fields);
    this.command(id, "start");
    return id;
  }

  order(
    rollout: string,
    command: Extract<Command, { type: "rollout_command" }>["command"],
    comment = "",
  ): Extract<Command, { type: "rollout_command" }> {
    return { type: "rollout_command", environment: PRODUCTION, rollout, command, comment, ifVersion: null };
  }

  command(...[rollout, command, comment]: Parameters<ControllerWorld["order"]>): void {
    this.do(this.order(rollout, command, comment));
  }

  /** A person's change of the flag. */
  edit(patch: Record<string, unknown>): void {
    this.do({ type: "patch_configuration", environment: PRODUCTION, flag: FLAG, patch, ifVersion: null }, actor());
  }

  run(deps: Partial<ControllerDeps> = {}): void {
    this.registry = new Registry();
    this.#controller = startController({
      ledger: this.ledger,
      evidence: this.evidence,
      clock: this.time.clock,
      scheduler: this.time.scheduler,
      logger: { ...SILENT, ...this.#logger() },
      registry: this.registry,
      ...deps,
    });
  }

  readonly log: { readonly level: string; readonly fields: object; readonly message: string }[] = [];

  #logger() {
    const at = (level: string) => (fields: object, message: string) => void this.log.push({ level, fields, message });
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }

  /** As after `kill -9`: nothing is said goodbye to. */
  stop(): void {
    this.#controller?.close();
    this.#controller = null;
  }

  reopen(options: Partial<LedgerOptions> = {}): void {
    this.stop();
    this.folder.close();
    this.ledger = this.folder.open(options).ledger;
  }

  remove(): void {
    this.stop();
    this.folder.remove();
  }

  /** Ten seconds at a time: traffic, split as the rollout asks, arrives, then time passes. */
  traffic(id: string, seconds: number, { canaryErrorRate = 0, controlErrorRate = 0, perSecond = 100 } = {}): void {
    for (let elapsed = 0; elapsed < seconds; elapsed += 10) {
      const { rollout } = this.rollout(id);
      if (rollout.stage !== null && rollout.percent > 0) {
        const canaryCount = Math.round((perSecond * 10 * rollout.percent) / 100);
        const controlCount = perSecond * 10 - canaryCount;
        this.evidence.report(rollout, rollout.plan.canary, {
          outcomeCount: canaryCount,
          errorCount: Math.round(canaryCount * canaryErrorRate),
        });
        if (controlCount > 0) {
          this.evidence.report(rollout, rollout.plan.control, {
            outcomeCount: controlCount,
            errorCount: Math.round(controlCount * controlErrorRate),
          });
        }
      }
      this.time.advance(10_000);
    }
  }

  rollout(id: string): StoredRollout {
    const stored = this.ledger.state.rollouts.get(id);
    if (!stored) throw new Error(`There is no rollout ${id}.`);
    return stored;
  }

  configuration() {
    const stored = this.ledger.state.environments.get(PRODUCTION)?.configurations.get(FLAG);
    if (!stored) throw new Error("The flag has no configuration.");
    return stored;
  }

  entry() {
    return this.ledger.state.environments.get(PRODUCTION)?.flags.get(FLAG);
  }

  /** Of everything that was decided, oldest first: what was done, or why it was held. */
  story(id: string): readonly string[] {
    return this.ledger
      .decisions({ rollout: id, before: null, limit: 1_000, onlyChanges: true })
      .map(({ action, cause, verdict }) => (action === "none" || action === "notify" ? `${cause ?? verdict}` : action))
      .reverse();
  }
}

const SILENT = {
  child: () => {
    throw new Error("The controller needs no child logger.");
  },
};
