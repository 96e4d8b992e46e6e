import { expect, it } from "vitest";
import { createPatience } from "./patience.ts";

/** Time that passes when the test says so. */
let now = 0;
const due = new Map<() => void, number>();
const patience = createPatience(10_000, (ms, task) => {
  due.set(task, now + ms);
  return () => void due.delete(task);
});

function advance(ms: number): void {
  now += ms;
  for (const [task, at] of due) {
    if (at > now) continue;
    due.delete(task);
    task();
  }
}

it("lasts for ever while something comes, and then once more its limit", () => {
  const signal = patience.begin();
  for (let part = 0; part < 100; part += 1) {
    advance(9_999);
    patience.renew();
  }
  advance(9_999);
  expect(signal.aborted).toBe(false);
  advance(1);
  expect(signal.reason).toMatchObject({ name: "TimeoutError" });
});

it("begins anew with each try, and is over at the end", () => {
  const first = patience.begin();
  advance(10_000);
  const second = patience.begin();
  patience.end();
  advance(20_000);
  expect([first.aborted, second.aborted]).toEqual([true, false]);
});
