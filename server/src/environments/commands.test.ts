import type { EnvironmentKey } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import { createFlag, flagKeyOf, STAGING, World } from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(5));
});

const create = (key: string): Command => ({ type: "create_environment", key: key as EnvironmentKey, name: key });
const archive = (key: string): Command => ({ type: "archive_environment", environment: key as EnvironmentKey });

describe("a new environment", () => {
  it("is at revision 0 when there is nothing to serve", () => {
    expect(world.state.environments.get(STAGING)).toMatchObject({ revision: 0, checksum: "000000000000" });
  });

  it("has every living flag with everyone on the off variant", () => {
    world.do(createFlag("a"));
    world.do(createFlag("gone"));
    world.do({ type: "archive_flag", flag: flagKeyOf("gone"), ifVersion: null });
    const { commits } = world.do(create("qa"));
    expect(commits).toMatchObject([{ environment: "qa", previous: 0, revision: 1 }]);
    expect([...(world.state.environments.get("qa" as EnvironmentKey)?.flags.keys() ?? [])]).toEqual(["a"]);
  });

  it("needs a key of its own, also after archiving, and stays within the limit", () => {
    expect(world.refusal(create("staging")).code).toBe("environment_exists");
    world.do(archive("staging"));
    expect(world.refusal(create("staging")).code).toBe("environment_exists");
    for (let index = 2; index < LIMITS.environments; index++) world.do(create(`e${index}`));
    expect(world.refusal(create("one-more")).code).toBe("limit_exceeded");
  });
});

describe("archiving an environment", () => {
  it("ends its streams, serves nothing and leaves the others alone", () => {
    world.do(createFlag("a"));
    const { decision, commits } = world.do(archive("staging"));
    expect(decision.closing).toEqual({ type: "environment_archived", environment: "staging" });
    expect(commits).toEqual([]);
    expect(world.entry("a", STAGING)).toBeUndefined();
    expect(world.configuration("a", STAGING)).toBeDefined();
    expect(world.do(createFlag("b")).commits.map(({ environment }) => environment)).toEqual(["production"]);
  });

  it("is refused twice, and for one that never was", () => {
    world.do(archive("staging"));
    expect(world.refusal(archive("staging")).code).toBe("environment_archived");
    expect(world.refusal(archive("moon")).code).toBe("environment_not_found");
  });
});
