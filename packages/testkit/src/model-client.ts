import type { Operation, RulesetFlag, RulesetSegment, ServerMessage } from "@bunting/contracts";

/** What a client of the stream would send in answer. */
export type ModelReply =
  | { readonly type: "ack"; readonly revision: number; readonly heldMs: number }
  | { readonly type: "resync"; readonly reason: "gap" | "checksum" };

export interface ModelState {
  readonly epoch: string;
  readonly revision: number;
  readonly flags: ReadonlyMap<string, RulesetFlag>;
  readonly segments: ReadonlyMap<string, RulesetSegment>;
}

/** Deviations from the protocol, for tests that show that a check would notice them. */
export interface ModelFlaws {
  /** Keeps the kill that came last instead of the highest revision (against ST-35). */
  readonly overlayOfLastKill?: boolean;
  /** Acts on kills that the position has passed (against ST-34). */
  readonly heedsLateKills?: boolean;
  /** Moves its position with an early kill (against ST-35). */
  readonly earlyKillMovesPosition?: boolean;
}

/**
 * The protocol `bunting.v1` as a client has to speak it, in its plainest form: no sockets, no timers, nothing shared with the
 * SDK, so that one can be held against the other. It keeps a list of whatever a server did wrong.
 */
export class ModelClient {
  /** Complaints about the server, in the order they arose. */
  readonly problems: string[] = [];
  state: ModelState | null = null;
  /** Flags killed early, each until the position reaches the revision. */
  readonly overlays = new Map<string, number>();
  resume: string | null = null;
  acknowledged = 0;
  resyncCount = 0;
  readonly #flaws: ModelFlaws;
  readonly #leftEpochs = new Set<string>();
  /** Messages applied, by their revision: each at most once. */
  readonly applied: number[] = [];
  /** Of the patches of this connection: they come in order, each once. */
  #newestPatch = -1;
  #epoch: string | null = null;
  #welcomed = false;
  #expectsSnapshot = false;
  /** Where it stood when it was welcomed: a kill that overtakes the snapshot may lead beyond it. */
  #heldAtWelcome: ModelState | null = null;
  #parts: Extract<ServerMessage, { type: "snapshot" }>[] = [];

  constructor(flaws: ModelFlaws = {}) {
    this.#flaws = flaws;
  }

  /** A new connection: what was half received of the old one is gone. */
  connect(): void {
    this.#welcomed = false;
    this.#newestPatch = -1;
    this.#parts = [];
  }

  /** What the URL of the next connection says of the position. */
  get position(): { readonly epoch: string; readonly revision: number } | null {
    return this.state && { epoch: this.state.epoch, revision: this.state.revision };
  }

  /** As evaluation would see it. */
  isKilled(flag: string): boolean {
    return this.overlays.has(flag) || (this.state?.flags.get(flag)?.killed ?? false);
  }

  receive(message: ServerMessage): readonly ModelReply[] {
    if (!this.#welcomed && message.type !== "welcome") this.#complain(`${message.type} before welcome`);
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "snapshot":
        return this.#snapshot(message);
      case "patch":
        return this.#patch(message);
      case "kill":
        return this.#kill(message);
      case "heartbeat":
        return this.#heartbeat(message);
      case "telemetry_ack":
      case "goaway":
      case "error":
        return [];
    }
  }

  #welcome(message: Extract<ServerMessage, { type: "welcome" }>): readonly ModelReply[] {
    if (this.#welcomed) this.#complain("a second welcome");
    this.#welcomed = true;
    this.resume = message.resume;
    this.#expectsSnapshot = message.mode === "snapshot";
    this.#heldAtWelcome = this.state;
    if (this.#leftEpochs.has(message.epoch)) this.#complain(`epoch ${message.epoch} was left before`);
    if (message.epoch !== this.#epoch && this.#epoch !== null) this.#leftEpochs.add(this.#epoch);
    this.#epoch = message.epoch;
    if (message.mode === "snapshot") return [];
    if (!this.state) this.#complain(`${message.mode} for a client that holds nothing`);
    else if (this.state.epoch !== message.epoch) this.#complain(`${message.mode} for a position of another epoch`);
    else if (message.mode === "none") {
      if (this.state.revision !== message.revision) this.#complain("none for a client that is behind");
      if (checksumOf(this.state) !== message.checksum) this.#complain("none for a client whose state differs");
    }
    return [];
  }

  #snapshot(message: Extract<ServerMessage, { type: "snapshot" }>): readonly ModelReply[] {
    if (message.part !== this.#parts.length + 1) this.#complain(`part ${message.part} after ${this.#parts.length}`);
    this.#parts.push(message);
    if (message.part < message.parts) return [];
    const parts = this.#parts;
    this.#parts = [];
    const { epoch, revision } = message;
    if (parts.some((part) => part.revision !== revision || part.epoch !== epoch))
      this.#complain("parts of two positions");
    const isOlderThan = (held: ModelState | null): boolean => held?.epoch === epoch && revision < held.revision;
    if (this.#expectsSnapshot && isOlderThan(this.#heldAtWelcome)) {
      this.#complain(`welcomed with a snapshot older than ${this.#heldAtWelcome?.revision}`);
    }
    if (isOlderThan(this.state)) return [];
    const next = {
      epoch,
      revision,
      flags: new Map(parts.flatMap((part) => Object.entries(part.flags))),
      segments: new Map(parts.flatMap((part) => Object.entries(part.segments))),
    };
    if (checksumOf(next) !== message.checksum) return this.#resync("checksum");
    this.#expectsSnapshot = false;
    return this.#swap(next);
  }

  #patch(message: Extract<ServerMessage, { type: "patch" }>): readonly ModelReply[] {
    if (message.revision !== message.previous + 1)
      this.#complain(`patch from ${message.previous} to ${message.revision}`);
    if (message.revision <= this.#newestPatch) this.#complain(`patch ${message.revision} after ${this.#newestPatch}`);
    this.#newestPatch = message.revision;
    if (!this.state || message.revision <= this.state.revision) return [];
    if (message.previous !== this.state.revision) return this.#resync("gap");
    const next = applyOperations(this.state, message.operations, message.revision);
    if (checksumOf(next) !== message.checksum) return this.#resync("checksum");
    return this.#swap(next);
  }

  #kill(message: Extract<ServerMessage, { type: "kill" }>): readonly ModelReply[] {
    const { flags, previous, revision } = message;
    const mine = this.state?.revision ?? -1;
    if (revision <= mine && !this.#flaws.heedsLateKills) return [];
    if (this.state && previous === mine) {
      const next = applyKill(this.state, flags, revision);
      if (checksumOf(next) !== message.checksum) return this.#resync("checksum");
      return this.#swap(next);
    }
    for (const { key } of flags) {
      const known = this.#flaws.overlayOfLastKill ? 0 : (this.overlays.get(key) ?? 0);
      this.overlays.set(key, Math.max(known, revision));
    }
    if (this.#flaws.earlyKillMovesPosition && this.state) this.state = { ...this.state, revision };
    return [];
  }

  #heartbeat(message: Extract<ServerMessage, { type: "heartbeat" }>): readonly ModelReply[] {
    if (!this.state || this.state.revision !== message.revision) {
      this.#complain(`heartbeat at ${message.revision} for a client that was sent only ${this.state?.revision}`);
      return this.#resync("gap");
    }
    if (checksumOf(this.state) !== message.checksum) return this.#resync("checksum");
    return [this.ack()];
  }

  /** The ack it owes for all that it has applied. */
  ack(heldMs = 0): ModelReply {
    this.acknowledged = this.state?.revision ?? 0;
    return { type: "ack", revision: this.acknowledged, heldMs };
  }

  #swap(next: ModelState): readonly ModelReply[] {
    if (this.state && this.state.epoch === next.epoch && next.revision < this.state.revision) {
      this.#complain(`went back from ${this.state.revision} to ${next.revision}`);
    }
    this.state = next;
    this.applied.push(next.revision);
    for (const [flag, until] of this.overlays) if (until <= next.revision) this.overlays.delete(flag);
    return [];
  }

  #resync(reason: "gap" | "checksum"): readonly ModelReply[] {
    this.resyncCount += 1;
    return [{ type: "resync", reason }];
  }

  #complain(problem: string): void {
    this.problems.push(problem);
  }
}

function applyOperations(state: ModelState, operations: readonly Operation[], revision: number): ModelState {
  const flags = new Map(state.flags);
  const segments = new Map(state.segments);
  for (const operation of operations) {
    if (operation.op === "remove") (operation.kind === "flag" ? flags : segments).delete(operation.key);
    else if (operation.kind === "flag") flags.set(operation.key, operation.value);
    else segments.set(operation.key, operation.value);
  }
  return { epoch: state.epoch, revision, flags, segments };
}

function applyKill(
  state: ModelState,
  killed: readonly { readonly key: string; readonly checksum: string }[],
  revision: number,
): ModelState {
  const flags = new Map(state.flags);
  for (const { key, checksum } of killed) {
    const flag = flags.get(key);
    if (flag) flags.set(key, { ...flag, killed: true, checksum });
  }
  return { ...state, revision, flags };
}

/** Sum modulo 2^48, in exact integers: nothing in common with how server and SDK add them up. */
export function checksumOf(state: Pick<ModelState, "flags" | "segments">): string {
  let sum = 0n;
  for (const { checksum } of [...state.flags.values(), ...state.segments.values()]) sum += BigInt(`0x${checksum}`);
  return (sum % 2n ** 48n).toString(16).padStart(12, "0");
}
