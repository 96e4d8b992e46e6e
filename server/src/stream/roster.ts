import type { Receipt } from "@bunting/contracts";
import type { Receipts } from "../receipts/receipts.ts";
import { type Identity, identityKey, type Session } from "./session.ts";

/** Sessions without a socket that are kept. Above it an instance that goes is forgotten at once. */
const MAXIMUM_ABSENT = 20_000;

/** The sessions of one environment, streams and pollers alike, and what they prove. */
export class Roster {
  readonly #receipts: Receipts;
  readonly #sessions = new Map<string, Session>();
  /** The sessions of each process that says who it is, the newest last. Nearly always one. */
  readonly #byIdentity = new Map<string, readonly Session[]>();
  #present = 0;

  constructor(receipts: Receipts) {
    this.#receipts = receipts;
  }

  /** How many are connected. */
  get present(): number {
    return this.#present;
  }

  get size(): number {
    return this.#sessions.size;
  }

  find(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** The sessions of this very process, the newest last: a stream that fell back to polling is one instance. */
  ofIdentity(identity: Identity): readonly Session[] {
    const key = identityKey(identity);
    return (key === null ? undefined : this.#byIdentity.get(key)) ?? [];
  }

  all(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** An instance is there. `held` is the revision it says it holds, null if none of this epoch. */
  enter(session: Session, held: number | null, head: number, now: number): void {
    this.#sessions.set(session.id, session);
    this.#remember(session);
    if (!session.connected) {
      if (held !== null) this.#receipts.joined(held, session.leftAt, head);
      this.#present += 1;
    }
    // Also if it is there already: a poller's session has a time at which it ends, and none once it has a socket.
    session.enter(head, this.#receipts.oldest);
    if (held !== null && held > session.acknowledged) this.acknowledge(session, held, now);
  }

  /** Its socket is gone. It may come back until `expiresAt`, unless its process is here with another session already. */
  leave(session: Session, head: number, expiresAt: number): void {
    if (!session.connected || this.#sessions.get(session.id) !== session) return;
    session.leave(head, expiresAt);
    this.#present -= 1;
    const isSucceeded = this.ofIdentity(session.identity).some(({ connected }) => connected);
    if (isSucceeded || this.#sessions.size - this.#present > MAXIMUM_ABSENT) this.end(session);
  }

  /** It is over: nobody waits for it any more. */
  end(session: Session): void {
    if (this.#sessions.get(session.id) !== session) return;
    this.#sessions.delete(session.id);
    this.#forget(session);
    if (session.connected) this.#present -= 1;
    this.#receipts.ended(session.presence, session.acknowledged);
  }

  /** Everything up to `revision` is applied there. `at` is monotonic ms, less the time the ack was held. */
  acknowledge(session: Session, revision: number, at: number): void {
    const from = session.acknowledged;
    session.acknowledged = revision;
    this.#receipts.acknowledged(session.presence, from, revision, at);
  }

  expire(now: number): void {
    for (const session of this.#sessions.values()) {
      if (session.expiresAt !== null && session.expiresAt <= now) this.end(session);
    }
  }

  /** What each of them has acknowledged. */
  *acknowledged(): Iterable<number> {
    for (const session of this.#sessions.values()) yield session.acknowledged;
  }

  receipt(revision: number): Receipt | undefined {
    return this.#receipts.find(revision, this.#sessions.values());
  }

  /** History was rewritten: what was acknowledged before means nothing now. */
  clear(): void {
    this.#sessions.clear();
    this.#byIdentity.clear();
    this.#present = 0;
    this.#receipts.clear();
  }

  #remember(session: Session): void {
    const key = identityKey(session.identity);
    const known = this.ofIdentity(session.identity);
    if (key !== null && !known.includes(session)) this.#byIdentity.set(key, [...known, session]);
  }

  #forget(session: Session): void {
    const key = identityKey(session.identity);
    if (key === null) return;
    const others = this.ofIdentity(session.identity).filter((other) => other !== session);
    if (others.length > 0) this.#byIdentity.set(key, others);
    else this.#byIdentity.delete(key);
  }
}
