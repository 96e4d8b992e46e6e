import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { forgetBefore, join, leave, type Presence, wasPresent } from "./presence.ts";

describe("ST-46 a session was connected at a commit or it was not", () => {
  it("answers as a list of commits would", () => {
    const step = fc.constantFrom("commit", "commit", "commit", "join", "leave");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let presence: Presence = [];
        let head = 0;
        let connected = false;
        const present = new Set<number>();
        for (const what of steps) {
          if (what === "commit") {
            head += 1;
            if (connected) present.add(head);
          } else {
            connected = what === "join";
            presence = connected ? join(presence, head) : leave(presence, head);
          }
        }
        for (let revision = 1; revision <= head; revision++) {
          expect(wasPresent(presence, revision)).toBe(present.has(revision));
        }
      }),
    );
  });

  it("stays small for an instance that comes and goes for ever", () => {
    let presence: Presence = [];
    for (let head = 0; head < 10_000; head += 2) {
      presence = leave(join(forgetBefore(presence, head - 256), head), head + 1);
    }
    expect(presence.length).toBeLessThanOrEqual(2 * 256);
    for (let flap = 0; flap < 1_000; flap++) presence = leave(join(presence, 10_000), 10_000);
    expect(presence.length).toBeLessThanOrEqual(2 * 256);
  });

  it("forgets what nobody can ask about", () => {
    const presence = [0, 10, 20, 30, 40, Infinity];
    expect(forgetBefore(presence, 5)).toEqual(presence);
    expect(forgetBefore(presence, 11)).toEqual([20, 30, 40, Infinity]);
    expect(forgetBefore(presence, 1_000)).toEqual([40, Infinity]);
    expect(forgetBefore([], 5)).toEqual([]);
  });
});
