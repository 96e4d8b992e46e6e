import type { EvidenceCell, Guardrail, Json, Rollout, RolloutPlan } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import type { CommandInputs } from "./command.ts";
import { namedGuardrails } from "./guardrails.ts";
import { toUnixMs } from "./instant.ts";
import type { Breakers, Sample } from "./judgement.ts";
import type { KeptInputs } from "./kept-inputs.ts";

/*
 * What happened in one attempt as far as it was stored, as moments at which another plan would have been decided, and what was
 * known at each of them.
 */

/** What happened in one attempt: the rollout as it is stored, its evidence, and what was decided from what. */
export interface History {
  readonly rollout: Rollout;
  /** Every row that is stored, with the interval index at which it became usable. */
  readonly cells: readonly HistoryCell[];
  /** Decisions with what they were made of, oldest first. Of looks that said nothing new, old ones may be missing. */
  readonly records: readonly HistoryRecord[];
  /** Unix ms of the last look. */
  readonly until: number;
}

/**
 * One stored row. What it counts stays JSON until its interval is added: as objects a week of it is more than a heap holds, and
 * a tenth of that as text.
 */
export interface HistoryCell extends Pick<EvidenceCell, "rollout" | "attempt" | "interval" | "stage"> {
  readonly availableAt: number;
  /** All of the cell, as UTF-8: outside of the heap, which then need not make room for it. */
  readonly json: Uint8Array;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function toHistoryCell({ availableAt, ...cell }: EvidenceCell & { readonly availableAt: number }): HistoryCell {
  const { rollout, attempt, interval, stage } = cell;
  return { rollout, attempt, interval, stage, availableAt, json: encoder.encode(JSON.stringify(cell)) };
}

export function fromHistoryCell({ json }: HistoryCell): EvidenceCell {
  return JSON.parse(decoder.decode(json)) as EvidenceCell;
}

/** Of a decision: its id, whose last part counts the rollout's decisions, and what it was made of. */
export interface HistoryRecord {
  readonly id: string;
  readonly inputs: Json;
}

/** A moment of a history. */
export type Moment =
  /** A look that was really taken, with what it was taken on. */
  | { readonly kind: "look"; readonly now: number; readonly inputs: KeptInputs }
  /** What a person asked for. */
  | { readonly kind: "command"; readonly now: number; readonly inputs: CommandInputs }
  /** A look that was not taken then, or is not kept. */
  | { readonly kind: "other_look"; readonly now: number };

/** One that was decided then, and the number of its decision. */
export type Stored = Extract<Moment, { kind: "look" | "command" }> & { readonly number: number };

/** What was known beside the evidence at a look. */
export interface Conditions {
  readonly samples: Readonly<Record<string, Sample>>;
  readonly breakers: Breakers;
  /** Guardrails of the plan whose value was not measured then. */
  readonly unmeasured: readonly string[];
  /** No look is stored that says how the breakers stood. */
  readonly breakersUnknown: boolean;
}

/** Whether the evidence that the decisions rest on is still there: it is kept for a time after an attempt has ended. */
export function isEvidenceWhole(history: History): boolean {
  const last = storedMoments(history).findLast(
    (moment) => moment.kind === "look" && moment.inputs.through >= 0 && moment.inputs.settledCount !== null,
  );
  if (last?.kind !== "look") return true;
  const { through, settledCount } = last.inputs;
  return history.cells.filter(({ availableAt }) => availableAt <= through).length === settledCount;
}

/** In the order of time: looks at the plan's own interval, and what people did. */
export function momentsOf(history: History, plan: RolloutPlan, isSamePlan: boolean): readonly Moment[] {
  const stored = storedMoments(history);
  if (isSamePlan && stored.some(({ kind }) => kind === "look")) return stored;
  const { rollout, until } = history;
  const stepMs = plan.analysisIntervalSeconds * 1000;
  const startedAt = rollout.startedAt === null ? until : toUnixMs(rollout.startedAt);
  const hasOwnInterval = plan.analysisIntervalSeconds !== rollout.plan.analysisIntervalSeconds;
  const kept = stored.filter((moment) => moment.kind === "command" || !hasOwnInterval || isOfFastLane(moment.inputs));
  const others = hasOwnInterval
    ? everyStep(startedAt, until + 1, stepMs)
    : missingLooks(stored, { startedAt, until, stepMs });
  return [...kept, ...others].sort((a, b) => a.now - b.now);
}

/** Oldest first. */
export function storedMoments({ records, rollout }: History): readonly Stored[] {
  return records.flatMap(({ id, inputs }) => {
    const moment = inputs as unknown as KeptInputs | CommandInputs;
    const number = Number(id.slice(id.lastIndexOf(".") + 1));
    const { now } = moment;
    // The command that began the attempt was one to the attempt before, and what began is where this history begins.
    if (moment.rollout.attempt !== rollout.attempt || moment.rollout.stage === null) return [];
    return [
      moment.kind === "analysis"
        ? { kind: "look", now, number, inputs: moment }
        : { kind: "command", now, number, inputs: moment },
    ];
  });
}

/** Taken because a batch showed a gross failure, whatever the interval. */
function isOfFastLane({ fresh }: KeptInputs): boolean {
  return fresh.length > 0;
}

/** Where decisions are no longer kept. A server that was down took no looks, and its decisions are numbered without a gap. */
function missingLooks(
  stored: readonly Stored[],
  { startedAt, until, stepMs }: { readonly startedAt: number; readonly until: number; readonly stepMs: number },
): readonly Moment[] {
  if (stored.length === 0) return everyStep(startedAt, until + 1, stepMs);
  return stored.flatMap((moment, index) => {
    const before = stored[index - 1];
    const from = before?.now ?? startedAt;
    const isGap = before === undefined ? moment.now - from > 2 * stepMs : moment.number > before.number + 1;
    return isGap ? everyStep(from, moment.now - stepMs / 2, stepMs) : [];
  });
}

/** After `from`, before `to`. */
function everyStep(from: number, to: number, stepMs: number): Moment[] {
  const count = Math.max(0, Math.ceil((to - from) / stepMs) - 1);
  return Array.from({ length: count }, (_, index) => ({ kind: "other_look", now: from + (index + 1) * stepMs }));
}

/**
 * What was known at a look beside the evidence: of one that was taken exactly that; of another one what the look before it saw,
 * if that is no older than the plan's interval was.
 */
export function conditionsAt(
  moment: Extract<Moment, { kind: "look" | "other_look" }>,
  {
    history,
    plan,
    lastLook,
  }: { readonly history: History; readonly plan: RolloutPlan; readonly lastLook: KeptInputs | null },
): Conditions {
  const seen = moment.kind === "look" ? moment.inputs : lastLook;
  const isFresh = seen !== null && moment.now - seen.now <= history.rollout.plan.analysisIntervalSeconds * 1000;
  const samples = samplesFor(plan, history.rollout.plan, seen?.samples ?? {});
  const outside = namedGuardrails(plan).filter(({ guardrail }) => sourceOf(guardrail) !== null);
  const measured = new Set(
    isFresh ? outside.filter(({ guardrail }) => isNamed(guardrail, history)).map(({ id }) => id) : [],
  );
  return {
    samples,
    breakers: seen?.breakers ?? NO_BREAKERS,
    unmeasured: outside.filter(({ id }) => !measured.has(id)).map(({ id }) => id),
    breakersUnknown: !isFresh,
  };
}

const NO_BREAKERS: Breakers = { openInstanceCount: 0, canaryInstanceCount: 0 };

/** Under the names that another plan has for the same metric or query. */
function samplesFor(
  plan: RolloutPlan,
  former: RolloutPlan,
  samples: Readonly<Record<string, Sample>>,
): Readonly<Record<string, Sample>> {
  const known = namedGuardrails(former).flatMap(({ id, guardrail }) => {
    const sample = samples[id];
    return sample === undefined ? [] : [{ id, source: sourceOf(guardrail), sample }];
  });
  return Object.fromEntries(
    namedGuardrails(plan).flatMap(({ id, guardrail }) => {
      const source = sourceOf(guardrail);
      if (source === null) return [];
      const ofSource = known.filter((each) => each.source === source);
      const found = ofSource.find((each) => each.id === id) ?? ofSource[0];
      return found === undefined ? [] : [[id, found.sample] as const];
    }),
  );
}

/** Whether the plan that was real asked for it as well. */
function isNamed(guardrail: Guardrail, { rollout }: History): boolean {
  const source = sourceOf(guardrail);
  return namedGuardrails(rollout.plan).some((named) => sourceOf(named.guardrail) === source);
}

/** Null for what SDKs count. */
function sourceOf(guardrail: Guardrail): string | null {
  if ("source" in guardrail) return `query ${guardrail.query}`;
  return "kind" in guardrail && guardrail.kind === "gauge" ? `gauge ${guardrail.metric}` : null;
}

/** Interval indices, as decisions name them. */
export function indexAt(now: number): number {
  return Math.floor(now / EVIDENCE_INTERVAL_MS);
}
