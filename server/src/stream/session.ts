import { forgetBefore, join, leave, type Presence } from "../receipts/presence.ts";
import type { Witness } from "../receipts/receipts.ts";
import type { Connection } from "./connection.ts";

/** What an instance says of itself, and the id of the token it came with. */
export interface Identity {
  readonly token: string;
  readonly instance: string;
  readonly boot: string;
  readonly sdk: string;
}

/** Same text, same process. Null where it did not say who it is. */
export function identityKey({ token, instance, boot }: Identity): string | null {
  return instance === "" || boot === "" ? null : `${token}\n${instance}\n${boot}`;
}

/**
 * The conversation of one instance with one environment. It outlives its connections and holds no queue: what the instance
 * lacks follows from where it stands.
 */
export class Session implements Witness {
  readonly id: string;
  readonly identity: Identity;
  /** How it was heard of last. */
  transport: "stream" | "poll" = "stream";
  /** Unix ms. */
  readonly connectedAt: number;
  /** Unix ms. */
  lastSeenAt: number;
  /** Everything up to this revision is applied. Never falls. */
  acknowledged: number;
  presence: Presence = [];
  /** The current socket; null while there is none, and for pollers. */
  connection: Connection | null = null;
  /** Monotonic ms at which the session ends if nobody comes back; null while it has a socket. */
  expiresAt: number | null = null;

  constructor(session: {
    readonly id: string;
    readonly identity: Identity;
    readonly acknowledged: number;
    readonly now: number;
  }) {
    this.id = session.id;
    this.identity = session.identity;
    this.acknowledged = session.acknowledged;
    this.connectedAt = session.now;
    this.lastSeenAt = session.now;
  }

  get instance(): string {
    return this.identity.instance;
  }

  get boot(): string {
    return this.identity.boot;
  }

  get sdk(): string {
    return this.identity.sdk;
  }

  get connected(): boolean {
    return this.presence.at(-1) === Infinity;
  }

  /** The head when it was connected last; 0 if it is new. */
  get leftAt(): number {
    return this.presence.at(-1) ?? 0;
  }

  enter(head: number, oldestReceipt: number): void {
    this.presence = join(forgetBefore(this.presence, oldestReceipt), head);
    this.expiresAt = null;
  }

  leave(head: number, expiresAt: number): void {
    this.presence = leave(this.presence, head);
    this.expiresAt = expiresAt;
  }
}
