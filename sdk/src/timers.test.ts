import { createFakeTime } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createTimers } from "./timers.ts";

describe("the timers of one owner", () => {
  it("are one for each name, the newest", () => {
    const time = createFakeTime();
    const timers = createTimers<"a" | "b">(time.scheduler);
    const fired: string[] = [];
    timers.set("a", 10, () => fired.push("first"));
    timers.set("a", 20, () => fired.push("second"));
    timers.set("b", 15, () => fired.push("b"));
    expect(timers.has("a")).toBe(true);
    time.advance(30);
    expect(fired).toEqual(["b", "second"]);
    expect(timers.has("a")).toBe(false);
  });

  it("LC-4 end with it, and no new one begins, not even from a task that is running", () => {
    const time = createFakeTime();
    const timers = createTimers<"a" | "b">(time.scheduler);
    timers.set("b", 50, () => {});
    timers.set("a", 10, () => {
      timers.end();
      timers.set("a", 10, () => {});
    });
    time.advance(10);
    expect(time.pending).toBe(0);
  });
});
