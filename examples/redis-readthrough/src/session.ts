/** A game between players. What a client needs to draw the table, and where everyone is in the stream of events. */
export interface Session {
  readonly id: string;
  readonly players: readonly string[];
  /** Sequence of the newest event; 0 before the first. */
  readonly sequence: number;
  /** By player, the newest event whose receipt the player confirmed. */
  readonly acknowledged: Readonly<Record<string, number>>;
  readonly lastMove: { readonly player: string; readonly move: string } | null;
  /** Grows with every change of the session: a cached copy never replaces a newer one. */
  readonly version: number;
  readonly createdAt: number;
}

/** One move. Events of a session are numbered 1, 2, 3 … without a hole. */
export interface GameEvent {
  readonly sequence: number;
  readonly player: string;
  readonly move: string;
  readonly at: number;
}

/** What a player who comes back missed, or why it cannot be told any more. */
export type Replay =
  | { readonly kind: "complete"; readonly events: readonly GameEvent[] }
  /** Everyone had acknowledged those events: they are pruned, and the snapshot is the place to start from. */
  | { readonly kind: "pruned"; readonly prunedUpTo: number }
  /** The player claims events that never happened. */
  | { readonly kind: "ahead"; readonly sequence: number };

/** What an acknowledgement did. Out of order or repeated, it is ignored; of the future, it is refused; never an error. */
export type Acknowledgement =
  | { readonly kind: "acknowledged"; readonly session: Session }
  | { readonly kind: "ignored"; readonly session: Session }
  | { readonly kind: "ahead"; readonly session: Session };

export function newSession(draft: { id: string; players: readonly string[]; now: number }): Session {
  const acknowledged = Object.fromEntries(draft.players.map((player) => [player, 0]));
  return {
    id: draft.id,
    players: draft.players,
    sequence: 0,
    acknowledged,
    lastMove: null,
    version: 1,
    createdAt: draft.now,
  };
}

export function appendMove(
  session: Session,
  played: { player: string; move: string; now: number },
): { readonly session: Session; readonly event: GameEvent } {
  const { player, move } = played;
  const event = { sequence: session.sequence + 1, player, move, at: played.now };
  const changed = { sequence: event.sequence, lastMove: { player, move }, version: session.version + 1 };
  return { session: { ...session, ...changed }, event };
}

export function acknowledge(
  session: Session,
  { player, sequence }: { player: string; sequence: number },
): Acknowledgement {
  if (sequence > session.sequence) return { kind: "ahead", session };
  if (sequence <= (session.acknowledged[player] ?? 0)) return { kind: "ignored", session };
  const acknowledged = { ...session.acknowledged, [player]: sequence };
  return { kind: "acknowledged", session: { ...session, acknowledged, version: session.version + 1 } };
}

/** Events up to here have reached every player: nobody will ask for them again. */
export function prunableUpTo(session: Session): number {
  return Math.min(...session.players.map((player) => session.acknowledged[player] ?? 0));
}

/** Events a player may still ask for. */
export function backlogOf(session: Session): number {
  return session.sequence - prunableUpTo(session);
}

/**
 * The replay after `after`, from `events` in ascending order that may lack some at either end. `undefined` if they do not
 * hold all of it, so a cache that lost a part is a miss and never a replay with a hole.
 */
export function replayFrom(session: Session, after: number, events: readonly GameEvent[]): Replay | undefined {
  if (after > session.sequence) return { kind: "ahead", sequence: session.sequence };
  const prunedUpTo = prunableUpTo(session);
  if (after < prunedUpTo) return { kind: "pruned", prunedUpTo };
  const missed = events.filter((event) => event.sequence > after && event.sequence <= session.sequence);
  const isWhole =
    missed.length === session.sequence - after && missed.every((event, index) => event.sequence === after + 1 + index);
  return isWhole ? { kind: "complete", events: missed } : undefined;
}
