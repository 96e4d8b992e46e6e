import type { VersionModule } from "@bunting/versions";
import { describe, expect, it } from "vitest";
import * as v1 from "./v1.ts";
import * as v2 from "./v2.ts";
import * as v3 from "./v3.ts";

const POINT = { x: 1, y: 2, vx: 3, vy: 4 };
const STATES: Readonly<Record<string, object>> = {
  v1: POINT,
  v2: { ...POINT, collided: true },
  v3: { ...POINT, collided: true, mass: 1 },
};
const MODULES: Readonly<Record<string, () => Pick<VersionModule, "migratesFrom" | "migrateStateFrom">>> = {
  v1: v1.createModule,
  v2: v2.createModule,
  v3: v3.createModule,
};

describe("a state from one version to another", () => {
  it.each([
    ["v1", "v2", { ...POINT, collided: false }],
    ["v2", "v1", POINT],
    ["v2", "v3", STATES.v3],
    ["v3", "v2", STATES.v2],
    ["v3", "v1", POINT],
  ])("%s to %s keeps position and speed, and makes up what is new", (from, to, expected) => {
    const module = MODULES[to]?.();
    expect(module?.migratesFrom).toContain(from);
    expect(module?.migrateStateFrom?.(from, STATES[from])).toEqual(expected);
  });

  it("v1 to v3 leads through v2, which knows about collisions", () => {
    expect(MODULES.v3?.().migratesFrom).toEqual(["v2"]);
  });
});
