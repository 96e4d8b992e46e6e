import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AttemptArms } from "../evidence/evidence.ts";
import { actor, createFlag, flagKeyOf } from "../ledger/ledger-fixture.ts";
import { ControllerWorld, ScriptedEvidence, TUESDAY } from "./controller-fixture.ts";

let world: ControllerWorld;
beforeEach(() => {
  world = new ControllerWorld({ time: createFakeTime(TUESDAY), random: createSeededRandom(7) });
});
afterEach(() => world.remove());

/** Notes whom the controller attends to, and has news of the first two as soon as they were attended to, for a while. */
class RestlessEvidence extends ScriptedEvidence {
  readonly attended: string[] = [];
  restless: readonly string[] = [];

  override breakers(arms?: AttemptArms): ReturnType<ScriptedEvidence["breakers"]> {
    const rollout = arms?.rollout ?? "";
    if (this.attended.at(-1) !== rollout) this.attended.push(rollout);
    return super.breakers();
  }

  tell(): void {
    if (this.attended.length < 20) for (const rollout of this.restless) this.announce(rollout);
  }
}

describe("a controller that cannot keep up", () => {
  it("attends to every rollout in turn, however much news the first ones have", () => {
    const ids = ["one", "two", "three"].map((name) => {
      world.do(createFlag(name), actor());
      const id = world.create({}, flagKeyOf(name));
      world.command(id, "start");
      return id;
    });
    // Each takes more than half of the second after which news is looked at again.
    let spentMs = 0;
    const evidence = new RestlessEvidence(() => world.time.clock.now());
    const { clock } = world.time;
    world.run({
      evidence,
      clock: { now: () => clock.now(), monotonic: () => clock.monotonic() + spentMs },
      failpoints: {
        beforeLook: () => {
          spentMs += 700;
          evidence.tell();
        },
      },
    });
    world.time.advance(1_000);
    evidence.attended.length = 0;
    evidence.restless = ids.slice(0, 2);
    spentMs += 60_000;
    world.time.advance(30_000);
    expect(evidence.attended.slice(0, 3).toSorted()).toEqual(ids.toSorted());
  });
});
