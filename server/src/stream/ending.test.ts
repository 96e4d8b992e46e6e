import { describe, expect, it } from "vitest";
import { ENDINGS } from "./ending.ts";

describe("ST-65 the close code says what a client does next", () => {
  it.each([
    ["unauthenticated", 4401, "slow"],
    ["environment_archived", 4403, "slow"],
    ["message_malformed", 4400, "slow"],
    ["message_rate", 4429, "slow"],
    ["session_replaced", 4409, "alone"],
    ["internal", 4500, "jitter"],
    ["slow_consumer", 4508, "jitter"],
    ["history_rewritten", 4510, "jitter"],
    ["no_sign_of_life", 4512, "jitter"],
    ["draining", 1012, "jitter"],
  ] as const)("%s is %i", (name, code, regime) => {
    expect(ENDINGS[name]).toMatchObject({ code, reason: name });
    const range = code === 4409 ? "alone" : code >= 4400 && code < 4500 ? "slow" : "jitter";
    expect(range).toBe(regime);
  });

  it("destroys those that do not read, and no others", () => {
    const abrupt = Object.entries(ENDINGS).flatMap(([name, ending]) => (ending.abrupt ? [name] : []));
    expect(abrupt).toEqual(["slow_consumer", "no_sign_of_life"]);
  });
});
