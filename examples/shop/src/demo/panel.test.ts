import { createTestFlags } from "@bunting/sdk/testing";
import { expect, it } from "vitest";
import { CHECKOUT_FLAG } from "../shop.ts";
import { disagreements, expressCustomers, isSubset, PANEL } from "./panel.ts";

const at = (on: number) =>
  createTestFlags({
    [CHECKOUT_FLAG]: { variants: { on: true, off: false }, fallthrough: { on, off: 100 - on } },
  });

it("notices customers whom a raise has left out", () => {
  const [before, after] = [expressCustomers(at(10)), expressCustomers(at(50))];
  expect(before.size).toBeGreaterThan(0);
  expect(isSubset(before, after)).toBe(true);
  expect(isSubset(after, before)).toBe(false);
});

it("notices instances that disagree", () => {
  expect(disagreements([at(50), at(50), at(50)])).toBe(0);
  expect(disagreements([at(100), at(100), at(0)])).toBe(PANEL.length);
});
