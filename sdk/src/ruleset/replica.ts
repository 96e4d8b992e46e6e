import type { KillMessage, Patch, Ruleset } from "@bunting/contracts";
import {
  applyKill,
  applyOperations,
  type CompiledRuleset,
  compileRuleset,
  type LocalServing,
  rulesetChecksum,
} from "@bunting/engine";
import type { Position } from "../types.ts";

/*
 * The copy of one environment's ruleset that this process evaluates with. There is exactly one way in for each kind of
 * message, each leaves either the state before or the state after and nothing between, and position and state change together.
 */

export type Verdict =
  /** The state moved. */
  | "applied"
  /** Old news: nothing to do. */
  | "ignored"
  /** Something is missing between the state and this message. */
  | "gap"
  /** The message and its checksum contradict each other. */
  | "checksum"
  /** The message belongs to a history that was left, or lies before the state. */
  | "refused";

export interface Replica {
  readonly position: Position | null;
  /** The state, as it is stored and acknowledged. */
  readonly ruleset: Ruleset;
  /** What evaluations use: the state with the early kills in it. */
  readonly compiled: CompiledRuleset;
  /** Epochs that were left, oldest first. */
  readonly left: readonly string[];
  /** A whole ruleset replaces the state if it does not lie before it (LC-31). */
  install(ruleset: Ruleset): Verdict;
  /** `epoch` is the history the sender speaks of: a patch does not carry it. */
  patch(epoch: string, patch: Patch): Verdict;
  /** Takes effect in any case, at the latest as an overlay (LC-36). */
  kill(epoch: string, kill: KillMessage): Verdict;
  /** What is served here otherwise than the ruleset says has changed: prerequisites are to see it (EV-44). */
  relink(): void;
  hasLeft(epoch: string): boolean;
}

export interface ReplicaStart {
  readonly ruleset: Ruleset | null;
  readonly left: readonly string[];
}

const NOTHING: Ruleset = { epoch: "", revision: 0, checksum: "000000000000", flags: {}, segments: {} };

/** Enough for a decade of restores; more would only cost memory. */
const LEFT_EPOCHS = 32;
const OVERLAYS = 10_000;

/** `swapped` is called after each change that an evaluation can see. */
export function createReplica(
  start: ReplicaStart,
  swapped: (replica: Replica) => void,
  servedInstead: LocalServing = () => null,
): Replica {
  return new CompiledReplica(start, swapped, servedInstead);
}

class CompiledReplica implements Replica {
  position: Position | null;
  ruleset: Ruleset;
  compiled: CompiledRuleset;
  left: readonly string[];
  private readonly overlays = new Map<string, Position>();
  private readonly swapped: (replica: Replica) => void;
  private readonly servedInstead: LocalServing;

  constructor({ ruleset, left }: ReplicaStart, swapped: (replica: Replica) => void, servedInstead: LocalServing) {
    this.servedInstead = servedInstead;
    this.ruleset = ruleset ?? NOTHING;
    this.compiled = compileRuleset(this.ruleset, undefined, servedInstead);
    this.position = ruleset === null ? null : positionOf(ruleset);
    this.left = left.slice(-LEFT_EPOCHS);
    this.swapped = swapped;
  }

  hasLeft(epoch: string): boolean {
    return this.left.includes(epoch);
  }

  install(ruleset: Ruleset): Verdict {
    const { position } = this;
    if (this.hasLeft(ruleset.epoch)) return "refused";
    if (position !== null && position.epoch === ruleset.epoch) {
      if (ruleset.revision < position.revision) return "refused";
      if (ruleset.revision === position.revision && ruleset.checksum === this.ruleset.checksum) return "ignored";
    }
    if (rulesetChecksum(ruleset) !== ruleset.checksum) return "checksum";
    if (position !== null && position.epoch !== ruleset.epoch) {
      this.left = [...this.left, position.epoch].slice(-LEFT_EPOCHS);
    }
    this.swap(ruleset);
    return "applied";
  }

  patch(epoch: string, patch: Patch): Verdict {
    if (this.position?.epoch !== epoch) return "gap";
    const applied = applyOperations(this.ruleset, patch);
    if (!applied.ok) return applied.reason === "old" ? "ignored" : applied.reason;
    this.swap(applied.ruleset);
    return "applied";
  }

  kill(epoch: string, kill: KillMessage): Verdict {
    if (this.hasLeft(epoch)) return "refused";
    if (this.position?.epoch !== epoch) return this.overlay(epoch, kill, "gap");
    const applied = applyKill(this.ruleset, kill);
    if (applied.ok) {
      this.swap(applied.ruleset);
      return "applied";
    }
    return applied.reason === "old" ? "ignored" : this.overlay(epoch, kill, applied.reason);
  }

  relink(): void {
    this.compiled = compileRuleset(withKills(this.ruleset, this.overlays), this.compiled, this.servedInstead);
  }

  /** The highest revision counts: a later restore has a higher one, and an older kill that comes late must not end early. */
  private overlay<Reason extends Verdict>(epoch: string, { flags, revision }: KillMessage, reason: Reason): Reason {
    for (const { key } of flags) {
      const before = this.overlays.get(key);
      if (before?.epoch === epoch && before.revision >= revision) continue;
      if (this.overlays.size < OVERLAYS || before !== undefined) this.overlays.set(key, { epoch, revision });
    }
    this.compile();
    return reason;
  }

  private swap(ruleset: Ruleset): void {
    const { epoch, revision } = ruleset;
    this.ruleset = ruleset;
    this.position = positionOf(ruleset);
    for (const [flag, until] of this.overlays) {
      if (until.epoch !== epoch || until.revision <= revision) this.overlays.delete(flag);
    }
    this.compile();
  }

  private compile(): void {
    this.relink();
    this.swapped(this);
  }
}

/**
 * Early kills go into the entries, so that flags which have a killed one as prerequisite see it too. Their checksum is one
 * that no server computes: the compiler must not take such an entry for the real one when that arrives.
 */
function withKills(ruleset: Ruleset, overlays: ReadonlyMap<string, Position>): Ruleset {
  if (overlays.size === 0) return ruleset;
  const killed = Object.entries(ruleset.flags)
    .filter(([key, flag]) => overlays.has(key) && !flag.killed)
    .map(([key, flag]) => [key, { ...flag, killed: true, checksum: `${flag.checksum} killed early` }]);
  return { ...ruleset, flags: { ...ruleset.flags, ...Object.fromEntries(killed) } };
}

function positionOf({ epoch, revision }: Ruleset): Position {
  return { epoch, revision };
}
