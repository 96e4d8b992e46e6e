import type { EvidenceCell, Rollout, RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { canonicalJson } from "./canonical-json.ts";
import { type CommandInputs, decideCommand } from "./command.ts";
import { type DecisionInputs, decide, intervalsOf, judgementInputs, ruleOn } from "./decide.ts";
import type { EvidenceInterval } from "./evidence.ts";
import { instantText, toUnixMs } from "./instant.ts";
import { judgeGuardrails, judgeStatistics } from "./judge.ts";
import type { KeptInputs } from "./kept-inputs.ts";
import { isLive } from "./machine.ts";
import { percentOfStage } from "./plan.ts";
import { flagStatus, stateOf } from "./rollout.ts";
import type { DecisionDraft, Ruling } from "./ruling.ts";
import { isAfter, type Place, StatisticsTrail } from "./statistics-trail.ts";
import { isComplete } from "./watermark.ts";
import {
  type Conditions,
  conditionsAt,
  fromHistoryCell,
  type History,
  type HistoryCell,
  indexAt,
  type Moment,
  momentsOf,
  type Stored,
  storedMoments,
} from "./what-if-history.ts";

export type { History, HistoryCell, HistoryRecord } from "./what-if-history.ts";

export interface WhatIf {
  readonly timeline: readonly WhatIfEntry[];
  /** As it would have ended, or stood at the end of the history. */
  readonly rollout: Rollout;
  /** From when on the course is no longer the real one, Unix ms; null: it is to the end. */
  readonly partedAt: number | null;
}

export interface WhatIfEntry {
  readonly decision: DecisionDraft;
  /** The canary's percent under the other plan, and as it really was. Evidence was collected at the latter. */
  readonly percent: number;
  readonly realPercent: number;
  /** What the decision takes for granted because nobody can know it. Empty under the plan that was real. */
  readonly unknown: readonly Unknown[];
}

export interface Unknown {
  /**
   * `share`: the canary really had another one. `people`: what they would have done. `samples`: values that nobody measured
   * then. `breakers`: how they stood.
   */
  readonly of: "share" | "people" | "samples" | "breakers";
  readonly because: string;
}

/**
 * Another plan's decisions on the history of an attempt.
 *
 * Looks are taken on what was stored of the real ones: evidence as far as it was usable then, values from outside, breakers,
 * the flag. As long as the course is the real one, people do what they did. Under the plan that was real all of it is as it
 * was, and the decisions are those of the history.
 *
 * From where the courses part, some things cannot be known, and each look says which. Evidence is what it was: where the plan
 * would have given the canary another share, errors are counted at the share that was real. And people are taken to promote and
 * to sign at once, so that the timeline shows what the evidence and the calendar allow.
 */
export function whatIf(history: History, plan: RolloutPlan): WhatIf {
  const steps = whatIfInSteps(history, plan);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * The same for whoever has something to do meanwhile, for a week of evidence takes a minute: gives the moments that are over,
 * Unix ms, and returns the whole at the end.
 */
export function* whatIfInSteps(history: History, plan: RolloutPlan): Generator<number, WhatIf, undefined> {
  const isSamePlan = canonicalJson(plan) === canonicalJson(history.rollout.plan);
  const course = new Course(history, plan, isSamePlan);
  for (const moment of momentsOf(history, plan, isSamePlan)) {
    if (!isLive(stateOf(course.rollout))) break;
    course.live(moment);
    yield moment.now;
  }
  return { timeline: course.timeline, rollout: course.rollout, partedAt: course.partedAt };
}

class Course {
  readonly timeline: WhatIfEntry[] = [];
  rollout: Rollout;
  /** Unix ms. */
  partedAt: number | null = null;
  readonly #history: History;
  readonly #isSamePlan: boolean;
  readonly #evidence: EvidenceSoFar;
  readonly #real: RealCourse;
  #latest: DecisionDraft | null = null;

  constructor(history: History, plan: RolloutPlan, isSamePlan: boolean) {
    this.#history = history;
    this.#isSamePlan = isSamePlan;
    this.#evidence = new EvidenceSoFar(history, plan);
    this.#real = new RealCourse(history);
    this.rollout = begun(history, plan);
    // Without a stored decision nobody knows what people did.
    if (this.#real.next === null) this.#part(toUnixMs(this.rollout.startedAt ?? instantText(history.until)));
  }

  live(moment: Moment): void {
    const real = this.#real.before(moment);
    this.#real.pass(moment);
    if (moment.kind === "command") this.#obey(moment.inputs);
    else this.#look(moment, real);
    const isAsReal = isSameCourse(this.rollout, this.#real.next ?? this.#history.rollout);
    if (this.partedAt === null && !isAsReal) this.#part(moment.now);
  }

  #obey(inputs: CommandInputs): void {
    if (this.partedAt !== null) return;
    const latest = this.#isSamePlan ? inputs.latest : this.#latest;
    const rollout = this.#bookedAs(inputs.rollout);
    const ruling = decideCommand({ ...inputs, rollout, latest });
    // What this plan does not ask people for.
    if ("refusal" in ruling) return;
    this.#enter(ruling, { real: inputs.rollout, conditions: null });
  }

  #look(moment: Extract<Moment, { kind: "look" | "other_look" }>, real: Rollout | null): void {
    const { now } = moment;
    const isKept = moment.kind === "look";
    const conditions = conditionsAt(moment, {
      history: this.#history,
      plan: this.rollout.plan,
      lastLook: this.#real.lastLook,
    });
    const rollout = isKept ? this.#bookedAs(moment.inputs.rollout) : this.rollout;
    // The version that counts is that of the change which the real rollout made; of another course there is none.
    const isReal = isKept && this.partedAt === null;
    const flag = isReal
      ? moment.inputs.flag
      : { killed: false, configurationVersion: rollout.configurationVersion ?? 0 };
    const { watchedSince } = (isKept ? moment.inputs : this.#real.lastLook) ?? {};
    const inputs: DecisionInputs = {
      kind: "analysis",
      rollout,
      flag,
      cells: [],
      samples: conditions.samples,
      breakers: conditions.breakers,
      previous: isKept && this.#isSamePlan ? moment.inputs.previous : this.#latest,
      now,
      ...(watchedSince === undefined ? {} : { watchedSince }),
    };
    const ruling =
      flagStatus(rollout, flag) === "ours"
        ? this.#judge(inputs, isKept ? moment.inputs : { through: indexAt(now), fresh: [] })
        : decide(inputs);
    this.#latest = ruling.decision;
    this.#enter(ruling, { real, conditions });
  }

  #judge(inputs: DecisionInputs, { through, fresh }: Pick<KeptInputs, "through" | "fresh">): Ruling {
    // Nothing but the last minute, because nobody could wait for the rest.
    if (through < 0) return ruleOn(inputs, judgeGuardrails(judgementInputs({ ...inputs, cells: fresh })));
    const stageOf = (place: Place): number => this.#stageOf(place);
    const intervals = this.#evidence.advance({ through, now: inputs.now, fresh, stageOf });
    return ruleOn(inputs, judgeStatistics(this.#evidence.statistics, { ...judgementInputs(inputs), intervals }));
  }

  /** Versions are the store's, and no decision rests on more than that they are the ones that it wrote. */
  #bookedAs({ version, configurationVersion, latestDecision, because }: Rollout): Rollout {
    return this.partedAt === null
      ? { ...this.rollout, version, configurationVersion, latestDecision, because }
      : this.rollout;
  }

  #enter(
    ruling: Ruling,
    { real, conditions }: { readonly real: Rollout | null; readonly conditions: Conditions | null },
  ) {
    const { percent } = this.rollout;
    const realPercent = real?.percent ?? this.#evidence.realPercent;
    const unknown = [
      ...this.#unknownCourse(percent, realPercent),
      ...(conditions ? unknownConditions(conditions) : []),
    ];
    this.timeline.push({ decision: ruling.decision, percent, realPercent, unknown });
    if (ruling.rollout.stage !== this.rollout.stage) this.#stageStarts.push(toUnixMs(ruling.decision.at));
    this.rollout = ruling.rollout;
  }

  #unknownCourse(percent: number, realPercent: number): readonly Unknown[] {
    const isAlone = this.partedAt !== null && this.#asksPeople;
    return [
      ...(percent === realPercent
        ? []
        : [{ of: "share", because: `Evidence was collected at ${realPercent} %, not at ${percent} %.` } as const]),
      ...(isAlone
        ? [{ of: "people", because: "People are taken to sign, to promote and to resume at once." } as const]
        : []),
    ];
  }

  /** From here on the course is its own. */
  #part(at: number): void {
    this.partedAt = at;
    const { plan, state } = this.rollout;
    this.rollout = {
      ...this.rollout,
      plan: withoutPeople(plan),
      ...(state === "paused" || state === "awaiting_approval" ? { state: "running", askedAt: null } : {}),
    };
  }

  get #asksPeople(): boolean {
    const { plan } = this.#evidence;
    return !plan.autoPromote || plan.stages.some(({ approval }) => approval !== undefined);
  }

  /** Unix ms at which each stage after the first began. */
  readonly #stageStarts: number[] = [];

  /** As reported, as long as the course was the real one; after that an interval belongs to the stage in which it begins. */
  #stageOf({ interval, stage }: Place): number {
    const begins = interval * EVIDENCE_INTERVAL_MS;
    const own = this.#stageStarts.filter((startedAt) => startedAt <= begins).length;
    return this.partedAt === null || begins < this.partedAt ? Math.min(stage, this.#stageStarts.length) : own;
  }
}

/** What was stored of the real course, moment by moment: also of looks that the other plan would not have taken. */
class RealCourse {
  readonly #stored: readonly Stored[];
  /** Those before it are over. */
  #ahead = 0;
  #lastLook: KeptInputs | null = null;

  constructor(history: History) {
    this.#stored = storedMoments(history);
  }

  /** The rollout as it really was at a moment; null after the last that is stored. */
  before(moment: Moment): Rollout | null {
    let index = this.#ahead;
    while (this.#isOver(index, moment, (now) => now < moment.now)) index += 1;
    return this.#stored[index]?.inputs.rollout ?? null;
  }

  pass(moment: Moment): void {
    while (this.#isOver(this.#ahead, moment, (now) => now <= moment.now)) this.#goOn();
    if (moment.kind !== "other_look") this.#goOn();
  }

  /** The rollout as it really was then; null where that is no longer stored. */
  get next(): Rollout | null {
    return this.#stored[this.#ahead]?.inputs.rollout ?? null;
  }

  get lastLook(): KeptInputs | null {
    return this.#lastLook;
  }

  #isOver(index: number, moment: Moment, isPast: (now: number) => boolean): boolean {
    const stored = this.#stored[index];
    if (stored === undefined) return false;
    return moment.kind === "other_look" ? isPast(stored.now) : stored.inputs !== moment.inputs;
  }

  #goOn(): void {
    const passed = this.#stored[this.#ahead];
    if (passed?.kind === "look") this.#lastLook = passed.inputs;
    this.#ahead += 1;
  }
}

/** What of a history's evidence is known by now, and its statistics. */
class EvidenceSoFar {
  readonly plan: RolloutPlan;
  readonly #rollout: Rollout;
  readonly #trail: StatisticsTrail;
  /** By the index at which they became usable; those from `#next` on are not yet. */
  readonly #cells: readonly HistoryCell[];
  #next = 0;
  /** Usable, and not in the statistics: because they are not whole yet, or since the trail went back. */
  #waiting: readonly HistoryCell[] = [];
  /** What the look before saw beside statistics: the next sees most of it again. */
  #recent: ReadonlyMap<HistoryCell, EvidenceCell> = new Map();

  constructor({ rollout, cells }: History, plan: RolloutPlan) {
    this.plan = plan;
    this.#rollout = rollout;
    this.#trail = new StatisticsTrail(plan);
    this.#cells = cells
      .filter((cell) => cell.rollout === rollout.id && cell.attempt === rollout.attempt)
      .sort((a, b) => a.availableAt - b.availableAt);
  }

  get statistics() {
    return this.#trail.statistics;
  }

  /** As evidence was collected latest. */
  get realPercent(): number {
    return percentOfStage(this.#rollout.plan, this.#cells[this.#next - 1]?.stage ?? 0);
  }

  /** Adds what has become usable. Returns what a judgement looks at beside statistics. */
  advance({ through, now, fresh, stageOf }: Advance): readonly EvidenceInterval[] {
    const trail = this.#trail;
    const { last } = trail;
    const news = this.#take(through);
    this.#waiting = [...this.#waiting, ...news];
    const late = last === null ? [] : news.filter((cell) => !isAfter(cell, last));
    if (late.length > 0) trail.rewindBefore(late.reduce((first, cell) => (isAfter(first, cell) ? cell : first)));
    // After a clock was set back, what was whole then is not whole now.
    while (trail.last !== null && !isComplete(trail.last, now)) trail.rewindBefore(trail.last);
    if (trail.last !== last) this.#waiting = this.#afterLast(this.#cells.slice(0, this.#next));
    for (const interval of this.#inOrder(this.#waiting)) {
      if (!isComplete(interval, now)) break;
      this.#trail.add({ ...interval, stage: stageOf(interval) }, interval);
    }
    this.#waiting = this.#afterLast(this.#waiting);
    const recent = [...this.#recentCells(now), ...fresh];
    return this.#intervalsOf(recent).map((interval) => ({ ...interval, stage: stageOf(interval) }));
  }

  #take(through: number): readonly HistoryCell[] {
    const first = this.#next;
    while ((this.#cells[this.#next]?.availableAt ?? Number.POSITIVE_INFINITY) <= through) this.#next += 1;
    return this.#cells.slice(first, this.#next);
  }

  #afterLast(cells: readonly HistoryCell[]): readonly HistoryCell[] {
    const { last } = this.#trail;
    return last === null ? cells : cells.filter((cell) => isAfter(cell, last));
  }

  #recentCells(now: number): Iterable<EvidenceCell> {
    const recent = new Map<HistoryCell, EvidenceCell>();
    for (let index = this.#next - 1; index >= 0; index -= 1) {
      const cell = this.#cells[index];
      if (cell === undefined || (cell.availableAt + 1) * EVIDENCE_INTERVAL_MS <= now - RECENT_MS) break;
      recent.set(cell, this.#recent.get(cell) ?? fromHistoryCell(cell));
    }
    this.#recent = recent;
    return recent.values();
  }

  /** Made one by one, as they are added: there may have been no look for an hour, nor one of a whole attempt. */
  *#inOrder(cells: readonly HistoryCell[]): Generator<EvidenceInterval> {
    const ordered = cells.toSorted((a, b) => a.interval - b.interval || a.stage - b.stage);
    let first = 0;
    for (const [index, cell] of ordered.entries()) {
      const next = ordered[index + 1];
      if (next !== undefined && !isAfter(next, cell)) continue;
      yield* this.#intervalsOf(ordered.slice(first, index + 1).map(fromHistoryCell));
      first = index + 1;
    }
  }

  /** With the share at which they were really collected. */
  #intervalsOf(cells: readonly EvidenceCell[]): readonly EvidenceInterval[] {
    return intervalsOf({ rollout: this.#rollout, cells });
  }
}

interface Advance extends Pick<KeptInputs, "through" | "fresh"> {
  readonly now: number;
  readonly stageOf: (place: Place) => number;
}

/** A minute of it is looked at beside statistics; usable it becomes after its interval, and late. */
const RECENT_MS = 120_000;

function unknownConditions({ unmeasured, breakersUnknown }: Conditions): readonly Unknown[] {
  return [
    ...(unmeasured.length === 0
      ? []
      : [{ of: "samples", because: `Nobody measured ${unmeasured.join(" and ")} for this look.` } as const]),
    ...(breakersUnknown
      ? [{ of: "breakers", because: "No look is stored that says how the breakers stood." } as const]
      : []),
  ];
}

function isSameCourse(one: Rollout, other: Rollout): boolean {
  return one.state === other.state && one.stage === other.stage && one.stageStartedAt === other.stageStartedAt;
}

function withoutPeople(plan: RolloutPlan): RolloutPlan {
  return { ...plan, autoPromote: true, stages: plan.stages.map(({ approval: _approval, ...stage }) => stage) };
}

function begun({ rollout, until }: History, plan: RolloutPlan): Rollout {
  const startedAt = rollout.startedAt ?? instantText(until);
  return {
    ...rollout,
    plan,
    state: "running",
    stage: 0,
    percent: percentOfStage(plan, 0),
    configurationVersion: rollout.configurationVersion ?? 0,
    startedAt,
    stageStartedAt: startedAt,
    askedAt: null,
    endedAt: null,
    signatures: [],
  };
}
