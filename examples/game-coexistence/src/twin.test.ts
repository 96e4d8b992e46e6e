import { describe, expect, it } from "vitest";
import { createPopulation, POPULATION } from "./population.ts";
import { Twin } from "./twin.ts";

const ENTITIES = [...createPopulation().keys()];

function statesAfter(change: (state: { x: number; y: number; vx: number; vy: number }, entity: string) => void) {
  const states = new Map<string, unknown>();
  for (const [entity, point] of createPopulation()) {
    const state = { ...point };
    change(state, entity);
    states.set(entity, state);
  }
  return states;
}

describe("the twin", () => {
  it("knows a hundred players, each at a place of its own", () => {
    const places = new Set([...createPopulation().values()].map(({ x, y }) => `${x} ${y}`));
    expect(places.size).toBe(POPULATION);
  });

  it("finds those intact that moved as their version moves them", () => {
    const twin = new Twin(createPopulation());
    const logic = Uint8Array.from(ENTITIES, (_, index) => (index < 50 ? 1 : 3));
    twin.advance(ENTITIES, logic, 0.5);
    const states = statesAfter((state, entity) => {
      if (ENTITIES.indexOf(entity) >= 50) state.vy += 9.8 * 0.5;
      state.x += state.vx * 0.5;
      state.y += state.vy * 0.5;
    });
    expect(twin.intact(states)).toHaveLength(POPULATION);
  });

  it.each([
    ["was left behind", () => {}],
    [
      "was advanced twice",
      (state: { x: number; vx: number }) => {
        state.x += state.vx * 2;
      },
    ],
  ])("finds nobody intact who %s", (_, change) => {
    const twin = new Twin(createPopulation());
    twin.advance(ENTITIES, new Uint8Array(POPULATION).fill(1), 1);
    expect(twin.intact(statesAfter(change))).toEqual([]);
  });

  it("leaves alone whom no version has advanced", () => {
    const twin = new Twin(createPopulation());
    twin.advance(ENTITIES, undefined, 1);
    expect(twin.intact(statesAfter(() => {}))).toHaveLength(POPULATION);
  });
});
