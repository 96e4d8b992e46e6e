import { createFakeTime } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { Listening } from "./listening.ts";

const NOON = 1_767_268_800_000;
const SECOND_MS = 1_000;

describe("GA-205 the server has been listening", () => {
  const listening = () => {
    const time = createFakeTime(NOON);
    const since = new Listening(time.clock);
    const after = (seconds: number): number => {
      time.advance(seconds * SECOND_MS);
      return (since.goOn() - NOON) / SECOND_MS;
    };
    return { time, after };
  };

  it("since its start, as long as it wakes, and however the clock is slewed", () => {
    const { time, after } = listening();
    for (let wake = 0; wake < 100; wake += 1) {
      time.jumpWallClock(500);
      expect(after(10)).toBe(0);
    }
  });

  it("since the wake after it slept", () => {
    const { after } = listening();
    expect([after(30), after(31), after(30)]).toEqual([0, 61, 61]);
  });

  it.each([31, -31])("since the wake after its clock jumped %i s", (jump) => {
    const { time, after } = listening();
    expect(after(10)).toBe(0);
    time.jumpWallClock(jump * SECOND_MS);
    expect([after(10), after(10)]).toEqual([20 + jump, 20 + jump]);
  });
});
