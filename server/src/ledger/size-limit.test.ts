import { LIMITS } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Applied } from "./apply.ts";
import type { Command } from "./command.ts";
import { createFlag, killOf, PRODUCTION, patchOf, restoreOf, World } from "./ledger-fixture.ts";
import { refuseTooLarge } from "./size-limit.ts";
import type { State } from "./state.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(5));
  world.do(createFlag("a"));
});

/** As if the rest of production's ruleset had this many bytes. */
function sized(state: State, bytes: number): State {
  const environments = [...state.environments].map(
    ([key, environment]) => [key, key === PRODUCTION ? { ...environment, bytes } : environment] as const,
  );
  return { ...state, environments: new Map(environments) };
}

function codeOf(command: Command, { from, to }: { readonly from: number; readonly to: number }): string | null {
  const before = sized(world.state, from);
  const { commits, state } = world.do(patchOf("a", { fallthrough: { split: { on: 25, off: 75 } } }));
  const applied: Applied = { commits, state: sized(state, to) };
  return refuseTooLarge(command, before, applied)?.refusal.code ?? null;
}

const FULL = LIMITS.rulesetBytes;
const edit = patchOf("a", {});

const ordered = (command: Extract<Command, { type: "rollout_command" }>["command"]): Command => ({
  type: "rollout_command",
  environment: PRODUCTION,
  rollout: "ro-1",
  command,
  comment: "",
  ifVersion: null,
});

describe("a ruleset that SDKs would refuse does not come to be", () => {
  it("an edit that makes one is refused, one that fills it to the last byte is not", () => {
    expect(codeOf(edit, { from: FULL - 10, to: FULL })).toBeNull();
  });

  it("an edit beyond the last byte is refused", () => {
    expect(codeOf(edit, { from: FULL - 10, to: FULL + 1 })).toBe("limit_exceeded");
  });

  it("one that is too large already may become smaller, and not larger", () => {
    expect(codeOf(edit, { from: FULL + 10, to: FULL + 9 })).toBeNull();
  });

  it.each([
    ["a kill", killOf("a"), null],
    ["a restore", restoreOf("a"), null],
    ["a rollback", ordered("rollback"), null],
    ["the end of an attempt", ordered("abort"), null],
    ["a promotion", ordered("promote"), "limit_exceeded"],
  ] as const)("what ends a danger is never refused for its size: %s", (_name, command, expected) => {
    expect(codeOf(command, { from: FULL, to: FULL + 100 })).toBe(expected);
  });
});
