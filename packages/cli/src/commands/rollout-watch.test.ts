import type { Decision, RolloutView } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import type { SeenRollout } from "../output/rollout.ts";
import { run } from "../run.ts";
import { createTestWorld, sampleDecision, sampleRollout, TOKEN } from "../test-world.ts";
import { newsOf } from "./rollout-watch.ts";

const ID = "ro-5f1c09a27be4";
const baking = sampleDecision();
const promotion = sampleDecision({
  id: `${ID}.13`,
  action: "promote",
  verdict: "pass",
  cause: null,
  because: "Promoted from 25 % to 50 %.",
});
const ending = sampleDecision({
  id: `${ID}.14`,
  action: "rollback",
  verdict: "fail",
  cause: null,
  because: "Rolled back from 50 %: 9 % errors.",
});

/** A server where the rollout stands now here, now there; each look is one step on. `undefined`: nobody answers. */
function serving(looks: readonly (SeenRollout | undefined)[], isTerminal = false) {
  let index = 0;
  const written: string[] = [];
  const current = (): SeenRollout | undefined => looks[Math.min(index, looks.length - 1)];
  const { world, err, slept } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    stdout: { write: (text) => void written.push(text), isTerminal, columns: 100, rows: 40 },
    sleep: (ms) => {
      if (ms >= 1000) index += 1;
      return Promise.resolve();
    },
    fetch: (url) => {
      const seen = current();
      if (seen === undefined) return Promise.reject(new Error("connection refused"));
      const answer = url.includes("/decisions") ? { items: seen.decisions, nextCursor: null } : seen.rollout;
      return Promise.resolve(Response.json(answer));
    },
  });
  return { world, out: () => written.join(""), written, err, slept };
}

const at = (state: RolloutView["state"], version: number, decisions: readonly Decision[]): SeenRollout => ({
  rollout: sampleRollout({ state, version, ...(state === "rolled_back" && { because: ending.because }) }),
  decisions,
});
const story = [
  at("running", 4, [baking]),
  at("running", 4, [baking]),
  at("running", 5, [promotion, baking]),
  at("rolled_back", 6, [ending, promotion, baking]),
];

describe("without a terminal", () => {
  it("a watch is one line per change, and ends with the rollout: 1 if it was rolled back", async () => {
    const { world, out, err } = serving(story);
    expect(await run(["rollout", "watch", ID], world)).toBe(1);
    expect(out()).toBe(
      [
        "redis-readthrough in production: running, 25 % of on against off",
        "11:59:50  promote            Promoted from 25 % to 50 %.",
        "11:59:50  rollback           Rolled back from 50 %: 9 % errors.",
        "",
      ].join("\n"),
    );
    expect(err()).toContain("not_completed  redis-readthrough was rolled back. Rolled back from 50 %: 9 % errors.");
  });

  it("and 0 if it completed", async () => {
    expect(await run(["rollout", "watch", ID], serving([at("running", 4, []), at("completed", 5, [])]).world)).toBe(0);
  });

  it("with --json it is one document a line", async () => {
    const { world, out } = serving(story);
    await run(["rollout", "watch", ID, "--json"], world);
    const lines = out()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as SeenRollout);
    expect(lines.map(({ decisions }) => decisions.map(({ action }) => action))).toEqual([
      [],
      ["promote"],
      ["rollback"],
    ]);
  });
});

describe("on a terminal", () => {
  it("a watch is drawn again and again in place", async () => {
    const { world, written } = serving(story, true);
    expect(await run(["rollout", "watch", ID], world)).toBe(1);
    expect(written).toHaveLength(4);
    expect(written[0]).toContain("◉");
    for (const frame of written.slice(1)) expect(frame).toMatch(/\[\d+A/);
    expect(written.at(-1)).toContain("✗");
  });

  it("a server that is away for a while does not end it", async () => {
    const { world, written } = serving([story[0], undefined, ...story.slice(2)], true);
    expect(await run(["rollout", "watch", ID], world)).toBe(1);
    expect(written[1]).toContain("when it was last seen. Cannot reach");
    expect(written[2]).not.toContain("when it was last seen");
  });
});

it("a rollout that is not there ends it at once", async () => {
  const problem = { type: "t", title: "t", status: 404, detail: "d", code: "rollout_not_found", requestId: "r" };
  const { world } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN, BUNTING_ENVIRONMENT: "production" },
    fetch: () => Promise.resolve(Response.json(problem, { status: 404 })),
  });
  expect(await run(["rollout", "watch", "gone"], world)).toBe(1);
});

describe("news", () => {
  it("is where it stands at first, then what was decided since, or another version", () => {
    const before = at("running", 4, [baking]);
    expect(newsOf(before, undefined)).toEqual({ rollout: before.rollout, decisions: [] });
    expect(newsOf(before, before)).toBeUndefined();
    expect(newsOf(at("running", 4, [promotion, baking]), before)?.decisions).toEqual([promotion]);
    expect(newsOf(at("paused", 5, [baking]), before)?.decisions).toEqual([]);
  });
});
