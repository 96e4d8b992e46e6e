import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type EntityEvent, type EntityMove, type EntityMoveName, nextMove, ownerOf } from "./entity-move.ts";

const MOVES: { readonly [Name in EntityMoveName]: EntityMove } = {
  resident: { name: "resident", at: "v1" },
  draining: { name: "draining", at: "v1", to: "v2" },
  migrating: { name: "migrating", at: "v1", to: "v2" },
  releasing: { name: "releasing", at: "v2", from: "v1" },
  stranded: { name: "stranded" },
  restoring: { name: "restoring", to: "v2" },
};
const EVENTS: readonly EntityEvent[] = [
  { type: "depart", to: "v2" },
  { type: "drained" },
  { type: "adopted" },
  { type: "refused" },
  { type: "released" },
  { type: "rescue", to: "v2" },
  { type: "lost", version: "v1" },
  { type: "lost", version: "v2" },
  { type: "lost", version: "v3" },
];

/** The whole table; what is not named changes nothing. */
const CHANGES: Readonly<Record<string, EntityMove>> = {
  "resident depart": MOVES.draining,
  "resident lost v1": MOVES.stranded,
  "draining drained": MOVES.migrating,
  "draining refused": MOVES.resident,
  "draining lost v1": MOVES.stranded,
  "draining lost v2": MOVES.resident,
  "migrating adopted": MOVES.releasing,
  "migrating refused": MOVES.resident,
  "migrating lost v1": MOVES.restoring,
  "migrating lost v2": MOVES.resident,
  "releasing released": { name: "resident", at: "v2" },
  "releasing lost v2": MOVES.stranded,
  "releasing lost v1": { name: "resident", at: "v2" },
  "stranded rescue": MOVES.restoring,
  "restoring adopted": { name: "resident", at: "v2" },
  "restoring refused": MOVES.stranded,
  "restoring lost v2": MOVES.stranded,
};

describe("the move of an entity", () => {
  const cells = Object.values(MOVES).flatMap((move) => EVENTS.map((event) => [move, event] as const));
  it.each(cells)("$name, $type", (move, event) => {
    const key = `${move.name} ${event.type}${event.type === "lost" ? ` ${event.version}` : ""}`;
    expect(nextMove(move, event)).toEqual(CHANGES[key] ?? move);
  });

  it("to where it is already is none", () => {
    expect(nextMove(MOVES.resident, { type: "depart", to: "v1" })).toEqual(MOVES.resident);
  });

  it("changes the owner only by an acknowledgement, or because the owner is gone", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(MOVES)), fc.constantFrom(...EVENTS), (move, event) => {
        const [before, after] = [ownerOf(move), ownerOf(nextMove(move, event))];
        if (before !== after && before !== null) {
          const isGone = event.type === "lost" && event.version === before;
          expect(event.type === "adopted" || isGone).toBe(true);
        }
        if (before === null && after !== null) expect(event.type).toBe("adopted");
      }),
    );
  });
});
