import type { Clock, Random, Scheduler } from "../ports.ts";
import type { Claim } from "./backlog.ts";
import type { Channel } from "./channel.ts";
import { type Identity, identityKey, Session } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";
import type { WaitingRoom } from "./waiting-room.ts";

export interface PollRequest {
  readonly identity: Identity;
  /** What the client says it holds. */
  readonly claim: Claim;
  /** How long to wait for something newer. */
  readonly waitMs: number;
  /** Aborted when the client goes away. */
  readonly signal?: AbortSignal;
}

/** Pollers that are remembered, for each environment. */
const MAXIMUM_POLLERS = 20_000;

/** Clients that ask instead of listening. They are instances like others, and prove what they have applied. */
export class Polling {
  readonly #world: { readonly clock: Clock; readonly scheduler: Scheduler; readonly random: Random };
  readonly #ttlMs: number;
  readonly #room: WaitingRoom;
  readonly #waiting = new Map<Channel, Set<() => void>>();

  constructor(
    world: { readonly clock: Clock; readonly scheduler: Scheduler; readonly random: Random },
    ttlMs: number,
    room: WaitingRoom,
  ) {
    this.#world = world;
    this.#ttlMs = ttlMs;
    this.#room = room;
  }

  /** The ruleset, or "unchanged" if the client holds the head and nothing newer came within its wait. */
  async poll(channel: Channel, request: PollRequest): Promise<Snapshot | "unchanged"> {
    const { claim, waitMs } = request;
    const isCurrent = (): boolean => claim?.epoch === channel.epoch && claim.revision === channel.head;
    this.#register(channel, request, isCurrent() ? waitMs : 0);
    if (isCurrent() && waitMs > 0) await this.#change(channel, request);
    return isCurrent() ? "unchanged" : channel.snapshot();
  }

  /** Something was committed, or the server stops: whoever waits is answered. */
  wake(channel: Channel): void {
    const waiting = this.#waiting.get(channel);
    this.#waiting.delete(channel);
    for (const done of waiting ?? []) done();
  }

  #register(channel: Channel, { identity, claim }: PollRequest, waitMs: number): void {
    if (identityKey(identity) === null) return;
    const { roster } = channel;
    const held = claim?.epoch === channel.epoch && claim.revision <= channel.head ? claim.revision : null;
    const session = roster.ofIdentity(identity).at(-1) ?? this.#newSession(identity, held ?? 0);
    if (roster.size >= MAXIMUM_POLLERS && !roster.find(session.id)) return;
    const now = this.#world.clock.monotonic();
    roster.enter(session, held, channel.head, now);
    session.lastSeenAt = this.#world.clock.now();
    if (session.connection) return;
    session.transport = "poll";
    session.expiresAt = now + waitMs + this.#ttlMs;
  }

  #newSession(identity: Identity, acknowledged: number): Session {
    const id = Buffer.from(this.#world.random.bytes(12)).toString("base64url");
    return new Session({ id, identity, acknowledged, now: this.#world.clock.now() });
  }

  async #change(channel: Channel, { waitMs, signal }: PollRequest): Promise<void> {
    const waiting = this.#waiting.get(channel) ?? new Set();
    this.#waiting.set(channel, waiting);
    await this.#room.wait(waitMs, signal, (done) => {
      waiting.add(done);
      return () => void waiting.delete(done);
    });
  }
}
