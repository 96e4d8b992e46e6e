import { expect, it } from "vitest";
import { eventually } from "./eventually.ts";

it("returns the first answer that is something", async () => {
  const answers = [undefined, 0, "", "here", "too late"];
  expect(await eventually(() => answers.shift(), { everyMs: 0 })).toBe("here");
});

it("asks again after an error", async () => {
  let asked = 0;
  const probe = async (): Promise<number> => {
    if (++asked < 3) throw new Error("connection refused");
    return asked;
  };
  expect(await eventually(probe, { everyMs: 0 })).toBe(3);
});

it("says what it waited for, and what the last answer was", async () => {
  const never = (): boolean => false;
  await expect(eventually(never, { withinMs: 0, what: "the flag to change" })).rejects.toThrow(
    "Waited 0 ms in vain for the flag to change. Last answer: false",
  );
});

it("asks at least once, however short the time", async () => {
  expect(await eventually(() => "yes", { withinMs: 0 })).toBe("yes");
});
