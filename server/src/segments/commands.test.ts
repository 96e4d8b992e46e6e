import { LIMITS } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import {
  createFlag,
  PRODUCTION,
  patchOf,
  putSegmentOf,
  STAGING,
  segmentKeyOf,
  World,
} from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(4));
});

const STAFF = [{ attribute: "email", op: "ends_with", values: ["@example.com"] }] as const;
const staff = (ifVersion: number | null = null) => putSegmentOf("staff", [...STAFF] as never, ifVersion);
const remove = (ifVersion: number | null = null): Command => ({
  type: "delete_segment",
  segment: segmentKeyOf("staff"),
  ifVersion,
});

describe("a segment", () => {
  it("DL-08 reaches every living environment, referred to or not", () => {
    const { commits } = world.do(staff());
    expect(commits.map(({ environment }) => environment)).toEqual(["production", "staging"]);
    expect(commits[0]?.operations).toMatchObject([{ op: "put", kind: "segment", key: "staff" }]);
  });

  it("does not reach an archived environment", () => {
    world.do({ type: "archive_environment", environment: STAGING });
    expect(world.do(staff()).commits.map(({ environment }) => environment)).toEqual(["production"]);
  });

  it("is in an environment that is created later", () => {
    world.do(staff());
    const { commits } = world.do({ type: "create_environment", key: "qa" as typeof STAGING, name: "" });
    expect(commits).toMatchObject([{ environment: "qa", previous: 0, revision: 1 }]);
    expect(commits[0]?.operations).toMatchObject([{ op: "put", kind: "segment", key: "staff" }]);
  });

  it("is nothing when nothing changes, and bumps no revision for its description", () => {
    world.do(staff());
    expect(world.do(staff()).decision.edits).toEqual([]);
    const described = { ...staff(), draft: { description: "us", when: STAFF } } as unknown as Command;
    const { commits, decision } = world.do(described);
    expect(commits).toEqual([]);
    expect(decision.audit).toHaveLength(1);
  });

  it("is deleted when no rule needs it", () => {
    world.do(staff());
    world.do(createFlag("redis"));
    world.do(patchOf("redis", { rules: [{ id: "r", when: [{ segment: "staff" }], serve: { variant: "on" } }] }));
    expect(world.refusal(remove()).code).toBe("segment_in_use");
    world.do(patchOf("redis", { rules: [] }));
    const { commits } = world.do(remove());
    expect(commits[0]?.operations).toEqual([{ op: "remove", kind: "segment", key: "staff" }]);
    expect(world.state.environments.get(PRODUCTION)?.segments.size).toBe(0);
  });

  it("R11 compares the version", () => {
    world.do(staff());
    expect(world.refusal(staff(2)).code).toBe("version_mismatch");
    expect(world.refusal(remove(2)).code).toBe("version_mismatch");
    expect(world.refusal(remove(1)).code).toBeNull();
  });

  it("refuses a condition that can never be judged, naming it", () => {
    const bad = putSegmentOf("bad", [...STAFF, { attribute: "a", op: "matches", values: ["("] }] as never);
    expect(world.refusal(bad)).toEqual({ code: "condition_invalid", paths: ["/when/1/values/0"] });
  });

  it("refuses one above the limit", () => {
    for (let index = 0; index < LIMITS.segments; index++) world.do(putSegmentOf(`s${index}`, [...STAFF] as never));
    expect(world.refusal(staff()).code).toBe("limit_exceeded");
  });

  it("refuses to delete what is not there", () => expect(world.refusal(remove()).code).toBe("segment_not_found"));
});
