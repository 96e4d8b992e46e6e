/*
 * How an entity gets from one version to another, as a pure function.
 *
 *   resident ──depart──► draining ──drained──► migrating ──adopted──► releasing ──released──► resident (there)
 *      │                    │                      └──refused──► resident (where it was)
 *      └─────holder_lost────┴──► stranded ──rescue──► restoring ──adopted──► resident,   ──refused──► stranded
 *
 * Who processes an entity is never in doubt: the old version until the new one has acknowledged its state, the new one from
 * then on, and nobody while it is stranded; then the host holds its state. No cell of the table gives it two owners or none
 * without a state somewhere.
 */

export type EntityMove =
  | { readonly name: "resident"; readonly at: string }
  /** Its state is being read. */
  | { readonly name: "draining"; readonly at: string; readonly to: string }
  /** The new version has its state and has not yet acknowledged it; the old one keeps its own. */
  | { readonly name: "migrating"; readonly at: string; readonly to: string }
  /** Acknowledged; the old version is told to forget. */
  | { readonly name: "releasing"; readonly at: string; readonly from: string }
  /** Its version is gone; the host holds its state. */
  | { readonly name: "stranded" }
  | { readonly name: "restoring"; readonly to: string };

export type EntityMoveName = EntityMove["name"];

export type EntityEvent =
  | { readonly type: "depart"; readonly to: string }
  | { readonly type: "drained" }
  | { readonly type: "adopted" }
  /** The new version did not take it, or is gone. */
  | { readonly type: "refused" }
  | { readonly type: "released" }
  | { readonly type: "rescue"; readonly to: string }
  | { readonly type: "lost"; readonly version: string };

type MoveOf<Name extends EntityMoveName> = Extract<EntityMove, { readonly name: Name }>;
type EventOf<Type extends EntityEvent["type"]> = Extract<EntityEvent, { readonly type: Type }>;

type Table = {
  readonly [Name in EntityMoveName]: {
    readonly [Type in EntityEvent["type"]]: (move: MoveOf<Name>, event: EventOf<Type>) => EntityMove;
  };
};

export const STRANDED: EntityMove = { name: "stranded" };

export function nextMove(move: EntityMove, event: EntityEvent): EntityMove {
  const cell = TABLE[move.name][event.type] as (move: EntityMove, event: EntityEvent) => EntityMove;
  return cell(move, event);
}

/** Which version processes the entity now; null while none can. */
export function ownerOf(move: EntityMove): string | null {
  return "at" in move ? move.at : null;
}

const stay = (move: EntityMove): EntityMove => move;

const TABLE: Table = {
  resident: {
    depart: ({ at }, { to }) => (to === at ? { name: "resident", at } : { name: "draining", at, to }),
    drained: stay,
    adopted: stay,
    refused: stay,
    released: stay,
    rescue: stay,
    lost: (move, { version }) => (version === move.at ? STRANDED : move),
  },
  draining: {
    depart: stay,
    drained: ({ at, to }) => ({ name: "migrating", at, to }),
    adopted: stay,
    refused: ({ at }) => ({ name: "resident", at }),
    released: stay,
    rescue: stay,
    lost: (move, { version }) =>
      version === move.at ? STRANDED : version === move.to ? { name: "resident", at: move.at } : move,
  },
  migrating: {
    depart: stay,
    drained: stay,
    adopted: ({ at, to }) => ({ name: "releasing", at: to, from: at }),
    refused: ({ at }) => ({ name: "resident", at }),
    released: stay,
    rescue: stay,
    // The state is already in the other's hands: if that one takes it, nothing is lost.
    lost: (move, { version }) =>
      version === move.at
        ? { name: "restoring", to: move.to }
        : version === move.to
          ? { name: "resident", at: move.at }
          : move,
  },
  releasing: {
    depart: stay,
    drained: stay,
    adopted: stay,
    refused: stay,
    released: ({ at }) => ({ name: "resident", at }),
    rescue: stay,
    lost: (move, { version }) =>
      version === move.at ? STRANDED : version === move.from ? { name: "resident", at: move.at } : move,
  },
  stranded: {
    depart: stay,
    drained: stay,
    adopted: stay,
    refused: stay,
    released: stay,
    rescue: (_move, { to }) => ({ name: "restoring", to }),
    lost: stay,
  },
  restoring: {
    depart: stay,
    drained: stay,
    adopted: ({ to }) => ({ name: "resident", at: to }),
    refused: () => STRANDED,
    released: stay,
    rescue: stay,
    lost: (move, { version }) => (version === move.to ? STRANDED : move),
  },
};
