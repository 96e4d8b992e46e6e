import type { RulesetRollout } from "@bunting/contracts";
import { type CompiledFlag, causeOf, type Decision, finalise, variantIndexOf } from "@bunting/engine";
import { type ArmIndex, CANARY, CONTROL } from "../breaker.ts";
import type { BreakerShell } from "./breaker-shell.ts";
import type { ArmName, CellCounters } from "./cell.ts";
import type { RequestOutcome } from "./request-outcome.ts";

/** What an arm needs of the book that keeps all cells. */
export interface CellKeeper {
  openCell(arm: Arm): CellCounters;
  /** Counts an outcome that nobody can be told of any more. */
  drop(events: number): void;
  /** The request that is being served now, if the application reports outcomes of requests. */
  currentRequest: (() => RequestOutcome | undefined) | null;
}

/** Canary or control of one stage of one attempt. */
export class Arm {
  readonly name: ArmName;
  readonly index: ArmIndex;
  readonly rollout: LiveRollout;
  /** Of the interval now; null until something is exposed in it. */
  cell: CellCounters | null = null;
  /** Cells whose units are still told apart, newest first: calls of `track` go to where their unit was exposed. */
  recent: CellCounters[] = [];
  private readonly keeper: CellKeeper;

  constructor(rollout: LiveRollout, index: ArmIndex, keeper: CellKeeper) {
    const { id, attempt, stage, canary, control } = rollout.entry;
    this.name = { rollout: id, attempt, stage, variant: index === CANARY ? canary : control };
    this.index = index;
    this.rollout = rollout;
    this.keeper = keeper;
  }

  expose(unit: number): CellCounters {
    const cell = this.cell ?? this.keeper.openCell(this);
    cell.expose(unit);
    return cell;
  }

  track(metric: string, unit: number, value: number): void {
    const exposed = this.recent.find((cell) => !cell.isClosed && cell.hasUnit(unit));
    const cell = exposed ?? this.cell ?? this.keeper.openCell(this);
    cell.track(metric, unit, value);
  }

  settle(witnessed: Witnessed, outcome: Outcome): void {
    const { cell, unit } = witnessed;
    if (cell !== null) {
      cell.outstanding -= 1;
      if (cell.isClosed) this.keeper.drop(1);
      else cell.settle(unit, outcome.isError, outcome.latencyMs);
    }
    this.rollout.breaker.settled(this.index, witnessed, outcome);
  }
}

export interface Outcome {
  readonly isError: boolean;
  readonly latencyMs: number;
  /** Monotonic ms. */
  readonly now: number;
}

/** One decision that an outcome can be told for. */
export interface Witnessed {
  readonly arm: Arm;
  /** Null for a probe of a half-open breaker, which is no evidence. */
  readonly cell: CellCounters | null;
  readonly unit: number;
  /** Of the arm's breaker until then. */
  readonly openings: number;
}

/** A rollout's stage as this process knows it: what it counted, and whether its canary burns here. */
export class LiveRollout {
  readonly flag: string;
  /** As the ruleset has it now: its metrics may have changed since the stage began. */
  entry: RulesetRollout;
  readonly canary: Arm;
  readonly control: Arm;
  readonly breaker: BreakerShell;
  readonly keeper: CellKeeper;

  constructor(flag: string, entry: RulesetRollout, breaker: BreakerShell, keeper: CellKeeper) {
    this.flag = flag;
    this.entry = entry;
    this.breaker = breaker;
    this.keeper = keeper;
    this.canary = new Arm(this, CANARY, keeper);
    this.control = new Arm(this, CONTROL, keeper);
  }

  /** Evidence belongs to exactly one attempt, stage and pair of variants; metrics may be added on the way. */
  isOf(entry: RulesetRollout): boolean {
    const { id, attempt, stage, canary, control, rule, groupSalt } = this.entry;
    return (
      id === entry.id &&
      attempt === entry.attempt &&
      stage === entry.stage &&
      canary === entry.canary &&
      control === entry.control &&
      rule === entry.rule &&
      groupSalt === entry.groupSalt
    );
  }
}

const NONE_GIVEN = -1;

/** A live rollout's scope within one compiled flag: which of its decisions are evidence, and of what. */
export class Scope {
  /** Of the last {@link witness}. */
  servedIndex = 0;
  readonly rollout: LiveRollout;
  readonly metrics: ReadonlySet<string>;
  private readonly flag: CompiledFlag;
  private readonly keeper: CellKeeper;
  private readonly breaker: BreakerShell;
  private readonly cause: number;
  private readonly groupSalt: number;
  private readonly arms: readonly (Arm | null)[];
  private readonly canaryIndex: number;
  private readonly controlIndex: number;

  /** Null where the flag has no such split or variants: then it has no evidence to give. */
  static of(flag: CompiledFlag, rollout: LiveRollout, metrics: readonly string[]): Scope | null {
    const { canary, control, rule } = rollout.entry;
    const indexOf = (variant: string): number => flag.variants.findIndex(({ key }) => key === variant);
    const [canaryIndex, controlIndex, cause] = [indexOf(canary), indexOf(control), flag.splitCause(rule)];
    if (canaryIndex < 0 || controlIndex < 0 || canaryIndex === controlIndex || cause < 0) return null;
    return new Scope(flag, rollout, { metrics, cause, canaryIndex, controlIndex });
  }

  private constructor(
    flag: CompiledFlag,
    rollout: LiveRollout,
    {
      metrics,
      cause,
      canaryIndex,
      controlIndex,
    }: {
      readonly metrics: readonly string[];
      readonly cause: number;
      readonly canaryIndex: number;
      readonly controlIndex: number;
    },
  ) {
    this.rollout = rollout;
    this.metrics = new Set(metrics);
    this.flag = flag;
    this.keeper = rollout.keeper;
    this.breaker = rollout.breaker;
    this.cause = cause;
    this.groupSalt = rollout.entry.groupSalt | 0;
    this.canaryIndex = canaryIndex;
    this.controlIndex = controlIndex;
    this.arms = flag.variants.map((_, index) =>
      index === canaryIndex ? rollout.canary : index === controlIndex ? rollout.control : null,
    );
  }

  /**
   * The variant to serve, counted as an exposure if the scope decided it, and told to the request under way if there is one.
   * On the hot path: to be called directly after the flag's `decide`.
   */
  serve(decision: Decision): number {
    const index = variantIndexOf(decision);
    if (!this.breaker.isClosed) return this.guard(decision);
    if (causeOf(decision) !== this.cause) return index;
    const arm = this.arms[index];
    if (arm === null || arm === undefined) return index;
    const unit = this.lastUnit();
    // Spelled out, as `arm.expose` would be a call: what the compiler takes into an evaluation is limited.
    const cell = arm.cell ?? this.keeper.openCell(arm);
    cell.expose(unit);
    if (this.keeper.currentRequest !== null) this.note(arm, cell, unit);
    return index;
  }

  /**
   * The same for a decision whose outcome its caller will tell, whatever becomes of the request; null where nobody waits for
   * it. The variant to serve is then in `servedIndex`: a second answer that costs no object. `given` is the variant that the
   * application chose, where the split leaves the choice to it.
   */
  witness(decision: Decision, given: number = NONE_GIVEN): Witnessed | null {
    const isOfScope = causeOf(decision) === this.cause;
    const index = isOfScope && given !== NONE_GIVEN ? given : variantIndexOf(decision);
    this.servedIndex = index;
    const { openings } = this.breaker;
    if (!this.breaker.isClosed) {
      if (index !== this.canaryIndex) return null;
      if (isOfScope && this.breaker.admit()) {
        return { arm: this.rollout.canary, cell: null, unit: this.lastUnit(), openings };
      }
      this.servedIndex = this.controlIndex;
      return null;
    }
    const arm = isOfScope ? this.arms[index] : null;
    if (arm === null || arm === undefined) return null;
    const unit = this.lastUnit();
    const cell = arm.expose(unit);
    cell.outstanding += 1;
    return { arm, cell, unit, openings };
  }

  /** What an open breaker serves instead of what; null while it is closed. */
  get withheld(): { readonly canary: string; readonly control: string } | null {
    return this.breaker.isClosed ? null : this.rollout.entry;
  }

  /** A call of `track` by whoever the decision is for. Overrides, pins and an open breaker make it no evidence. */
  track(decision: Decision, metric: string, value: number): void {
    if (!this.breaker.isClosed || causeOf(decision) !== this.cause) return;
    this.arms[variantIndexOf(decision)]?.track(metric, this.lastUnit(), value);
  }

  /** An opened breaker serves control to whoever would get the canary, whatever gave it to them. */
  private guard(decision: Decision): number {
    const index = variantIndexOf(decision);
    if (index !== this.canaryIndex) return index;
    if (causeOf(decision) !== this.cause || !this.breaker.admit()) return this.controlIndex;
    this.note(this.rollout.canary, null, this.lastUnit());
    return index;
  }

  /** Tells the request under way, if there is one. */
  private note(arm: Arm, cell: CellCounters | null, unit: number): void {
    this.keeper.currentRequest?.()?.note(arm, cell, unit);
  }

  private lastUnit(): number {
    return finalise(this.flag.lastHash ^ this.groupSalt);
  }
}
