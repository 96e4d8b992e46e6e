import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import {
  actor,
  createFlag,
  flagKeyOf,
  killOf,
  PRODUCTION,
  patchOf,
  restoreOf,
  STAGING,
  World,
} from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(3));
  for (const key of ["a", "b", "c"]) world.do(createFlag(key, { tags: key === "c" ? [] : ["redis"] }));
});

const killTag = (tag: string): Command => ({
  type: "kill",
  environment: PRODUCTION,
  target: { tag },
  reason: "it burns",
});

const archive = (flag: string): Command => ({ type: "archive_flag", flag: flagKeyOf(flag), ifVersion: null });

describe("killing", () => {
  it("marks the flag, in one environment, with who and why", () => {
    const { commits } = world.do(killOf("a"), actor("operator"));
    expect(world.configuration("a").configuration.killed).toEqual({
      by: "a operator",
      at: world.now,
      reason: "it burns",
    });
    expect(world.entry("a")?.killed).toBe(true);
    expect(world.entry("a", STAGING)?.killed).toBe(false);
    expect(commits).toHaveLength(1);
    expect(commits[0]?.kill).toEqual([{ key: "a", checksum: world.entry("a")?.checksum }]);
  });

  it("takes all flags with a tag in one transaction", () => {
    const { commits, decision } = world.do(killTag("redis"));
    expect(commits).toHaveLength(1);
    expect(commits[0]?.kill?.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(decision.audit.map(({ object }) => object.key)).toEqual(["a", "b"]);
    expect(world.entry("c")?.killed).toBe(false);
  });

  it("leaves those alone that are killed already", () => {
    world.do(killOf("a"));
    const mark = world.configuration("a").configuration;
    const { commits } = world.do(killOf("a", "b"));
    expect(commits[0]?.kill?.map(({ key }) => key)).toEqual(["b"]);
    expect(world.configuration("a").configuration).toBe(mark);
  });

  it("is nothing when all of several are killed already", () => {
    world.do(killOf("a", "b"));
    expect(world.do(killTag("redis")).commits).toEqual([]);
  });

  it("names every flag it killed, also where they are more than one kill message may hold", () => {
    for (let index = 0; index < 1001; index++) world.do(createFlag(`f${index}`, { tags: ["many"] }));
    const { commits } = world.do(killTag("many"));
    expect(commits[0]?.kill).toHaveLength(1001);
    expect(commits[0]?.operations).toHaveLength(1001);
  });

  it.each([
    ["a flag that is killed already", () => world.do(killOf("a")), () => killOf("a"), "flag_killed"],
    ["a flag that is archived", () => world.do(archive("a")), () => killOf("a"), "flag_archived"],
    ["a flag that never was", () => undefined, () => killOf("nope"), "flag_not_found"],
    ["several of which one never was", () => undefined, () => killOf("a", "nope"), "flag_not_found"],
    ["a tag nobody has", () => undefined, () => killTag("none"), "kill_matches_nothing"],
    [
      "several that are all archived",
      () => [world.do(archive("a")), world.do(archive("b"))],
      () => killOf("a", "b"),
      "kill_matches_nothing",
    ],
  ])("refuses %s", (_, prepare, command, code) => {
    prepare();
    const before = world.state;
    expect(world.refusal(command()).code).toBe(code);
    expect(world.state).toBe(before);
  });

  it("makes the version move, so that an editor notices", () => {
    world.do(killOf("a"));
    expect(world.refusal(patchOf("a", { enabled: false }, { ifVersion: 1 })).code).toBe("version_mismatch");
  });

  it("stays while the configuration is edited", () => {
    world.do(killOf("a"));
    world.do(patchOf("a", { fallthrough: { variant: "on" } }));
    expect(world.entry("a")?.killed).toBe(true);
  });
});

describe("restoring", () => {
  it("undoes a kill and leaves the rest as it was", () => {
    const before = world.entry("a");
    world.do(killOf("a"));
    const { commits } = world.do(restoreOf("a"));
    expect(commits[0]?.kill).toBeNull();
    expect(world.entry("a")).toEqual(before);
    expect(world.configuration("a").configuration.killed).toBeNull();
  });

  it("is refused for a flag that is not killed", () => {
    expect(world.refusal(restoreOf("a")).code).toBe("flag_not_killed");
  });

  it("R27 is never done by a machine", () => {
    world.do(killOf("a"));
    expect(world.refusal(restoreOf("a"), actor("system")).code).toBe("forbidden");
  });
});
