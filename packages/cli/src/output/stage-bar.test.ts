import { describe, expect, it } from "vitest";
import { COLOURFUL, PLAIN, sampleRollout } from "../test-world.ts";
import { stageBar } from "./stage-bar.ts";

const drawn = (differences: object) => stageBar(sampleRollout(differences), PLAIN).split("\n");

describe("the stages of a rollout", () => {
  it("show what is behind, how far the bake is, what is ahead, and the gate that takes an approval", () => {
    expect(drawn({})).toEqual([
      "●━━━━━━━━━━━●━━━━━━━━━━━◉━━━━━━━────○─────────┤├○",
      "1 %         5 %         25 %        50 %        100 %",
    ]);
  });

  it("begin with nothing behind, and end with everything behind", () => {
    expect(drawn({ state: "pending", stage: null })[0]).toBe("○───────────○───────────○───────────○─────────┤├○");
    expect(drawn({ state: "completed", stage: 4 })[0]).toBe("●━━━━━━━━━━━●━━━━━━━━━━━●━━━━━━━━━━━●━━━━━━━━━┤├●");
  });

  it("show where a rollout was rolled back, and nothing drawn beyond", () => {
    expect(drawn({ state: "rolled_back", stage: 1 })[0]).toBe("●━━━━━━━━━━━✗───────────○───────────○─────────┤├○");
  });

  it("never draw a bake that is not over as over", () => {
    expect(drawn({ bakedSeconds: 299.9 })[0]).toContain("◉━━━━━━━━━━─○");
    expect(drawn({ bakedSeconds: 300 })[0]).toContain("◉━━━━━━━━━━━○");
    expect(drawn({ bakedSeconds: 900 })[0]).toContain("◉━━━━━━━━━━━○");
  });

  it("go on in a second row where they do not fit", () => {
    const stages = Array.from({ length: 12 }, (_, index) => ({ percent: index + 1 }));
    const rows = stageBar(sampleRollout({ plan: { canary: "on", control: "off", stages } }), { ...PLAIN, columns: 60 });
    expect(rows.split("\n")).toHaveLength(4);
    for (const row of rows.split("\n")) expect(row.length).toBeLessThanOrEqual(60);
  });

  it("paint a gate red while a NO-GO stands at it", () => {
    const signature = {
      stage: 3,
      by: "Bo",
      token: "t",
      roles: [],
      decision: "reject",
      comment: "no",
      at: "2026-01-31T11:59:00.000Z",
    };
    const bar = stageBar(sampleRollout({ state: "awaiting_approval", stage: 3, signatures: [signature] }), COLOURFUL);
    expect(bar).toContain(COLOURFUL.paint("bad", "┤├"));
  });
});
