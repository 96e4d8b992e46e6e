import type { DecisionDocument, EvidenceRow, RolloutView } from "@bunting/contracts";
import { type DecisionInputs, decide } from "@bunting/gating";
import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleDecision, sampleRollout, TOKEN } from "../test-world.ts";

const ID = "ro-5f1c09a27be4.2";
const {
  nextStep: _nextStep,
  guardrails: _guardrails,
  bakedSeconds: _bakedSeconds,
  counts: _counts,
  ...stored
} = sampleRollout();

/** Ana pauses a running rollout. */
const record = {
  ...sampleDecision({
    id: ID,
    at: "2026-01-31T12:00:00.000Z",
    by: "Ana",
    verdict: null,
    cause: null,
    action: "pause",
    because: "Ana paused it at 25 %; the safety monitor goes on: lunch",
    bakedSeconds: 0,
    counts: {
      canary: { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 },
      control: { exposureCount: 0, outcomeCount: 0, errorCount: 0, unitCount: 0 },
    },
    nextStep: {
      step: "promote",
      notBefore: "2026-01-31T12:05:00.000Z",
      waitsFor: ["a person to resume it", "5 min of evidence", "a person to promote it"],
    },
  }),
  inputs: {
    kind: "command",
    rollout: stored,
    command: { type: "pause", by: { name: "Ana", token: "t", roles: [] }, comment: "lunch" },
    variants: ["on", "off"],
    configuration: { rules: [], fallthrough: { split: { on: 25, off: 75 } }, killed: null, version: 15 },
    latest: null,
    now: Date.UTC(2026, 0, 31, 12),
  },
  evidence: "whole",
} as unknown as DecisionDocument;

async function replaying(answer: unknown, differences: object = {}) {
  const asked: string[] = [];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: (url) => {
      asked.push(new URL(url).pathname);
      return Promise.resolve(Response.json(answer));
    },
    ...differences,
  });
  return { exitCode: await run(["rollout", "replay", ID], world), out: out(), err: err(), asked };
}

describe("a replay", () => {
  it("decides again from what the decision was made of, and finds it the same byte for byte", async () => {
    const { exitCode, out, err, asked } = await replaying(record);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(asked).toEqual([`/api/v1/rollouts/ro-5f1c09a27be4/decisions/${ID}`]);
    expect(out).toContain("✓ the same, byte for byte");
  });

  it("says that it compared to nine digits where another engine decided", async () => {
    expect((await replaying(record, { engine: "node other" })).out).toContain("✓ the same, to nine significant digits");
  });

  it("ends with 1 and shows what is otherwise", async () => {
    const { exitCode, out, err } = await replaying({ ...record, action: "resume", forced: true });
    expect(exitCode).toBe(1);
    expect(out).toContain('action\n  - "resume"\n  + "pause"');
    expect(out).toContain("forced\n  - true\n  + false");
    expect(err).toContain("replay_differs");
  });

  it("ends with 1 where it is of another release, and does not call that a difference", async () => {
    const { exitCode, out, err } = await replaying({ ...record, inputs: { kind: "analysis" } });
    expect([exitCode, out]).toEqual([1, ""]);
    expect(err).toContain("not_replayable");
  });

  it("GA-177 says so where its evidence is gone or cannot be read, and decides nothing else instead", async () => {
    for (const evidence of ["gone", "unreadable"] as const) {
      const { exitCode, out, err } = await replaying({ ...record, evidence });
      expect([exitCode, out]).toEqual([1, ""]);
      expect(err).toContain(`evidence_${evidence}`);
    }
  });
});

const NOW = Date.UTC(2026, 0, 31, 12);
const NEWEST = NOW / 10_000 - 3;
/** Five minutes in the stage, two rows of an interval; of the first, the canary's second came late. */
const rows = Array.from({ length: 61 }, (_, index) =>
  (["on", "off"] as const).map((variant) => rowOf(variant, NEWEST - 30 + Math.floor(index / 2), index % 2)),
)
  .flat()
  .sort((a, b) => a.interval - b.interval || a.variant.localeCompare(b.variant) || a.availableAt - b.availableAt);

function rowOf(variant: "on" | "off", interval: number, lateness: number): EvidenceRow {
  const groups = Array.from({ length: 32 }, (_, group) => [group, 3, 3, group < 2 ? 1 : 0, group < 2 ? 1 : 0]);
  const counts = { exposureCount: 96, unitCount: 96, outcomeCount: 96, errorCount: 2, unitErrorCount: 2 };
  const place = { rollout: stored.id, attempt: 1, stage: 2, variant, interval, availableAt: interval + 2 + lateness };
  return { ...place, ...counts, uncheckedCount: 0, groups, sketch: [], ladder: [] } as unknown as EvidenceRow;
}

/** A look at all of them, as the server decided it and keeps it. */
const analysis = ((): DecisionDocument => {
  const { cells, ...inputs }: DecisionInputs = {
    kind: "analysis",
    rollout: stored as unknown as RolloutView,
    flag: { killed: false, configurationVersion: 15 },
    cells: rows,
    samples: {},
    breakers: { openInstanceCount: 0, canaryInstanceCount: 3 },
    previous: null,
    now: NOW,
  };
  const { decision } = decide({ ...inputs, cells });
  const kept = { ...inputs, through: NOW / 10_000, settledCount: rows.length, fresh: [] };
  return { ...record, ...decision, evidence: "named", inputs: kept } as unknown as DecisionDocument;
})();

async function replayingPages(
  answered: readonly EvidenceRow[] | "unreadable",
  { decision = analysis as object, isTerminal = false } = {},
) {
  const asked: URL[] = [];
  const drawn: string[] = [];
  let err = "";
  const { world, out } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    stderr: { write: (text) => void (err += text), isTerminal, columns: 100, rows: 40 },
    progress: () => ({
      update: (_, message) => void drawn.push(message),
      end: () => void drawn.push("end"),
    }),
    fetch: (address) => {
      const url = new URL(address);
      asked.push(url);
      if (!url.pathname.endsWith("/evidence")) return Promise.resolve(Response.json(decision));
      if (answered === "unreadable") {
        const problem = { type: "t", title: "t", status: 503, detail: "It fails.", requestId: "r-1" };
        return Promise.resolve(Response.json({ ...problem, code: "storage_unknown_outcome" }, { status: 503 }));
      }
      // Cut between two rows of one place.
      const first = Number(url.searchParams.get("cursor") ?? 0);
      const last = first + 17;
      const nextCursor = last < answered.length ? String(last) : null;
      return Promise.resolve(Response.json({ items: answered.slice(first, last), nextCursor }));
    },
  });
  return { exitCode: await run(["rollout", "replay", ID], world), out: out(), err, asked, drawn };
}

describe("GA-170 a replay of an analysis", () => {
  it("reads its evidence in pages, as far as it was usable then, and finds the decision the same byte for byte", async () => {
    expect(analysis.guardrails).toHaveLength(2);
    const engine = { ...analysis, engine: "node test" };
    const { exitCode, out, asked } = await replayingPages(rows, { decision: engine });
    expect([exitCode, out]).toEqual([0, expect.stringContaining("✓ the same, byte for byte")]);
    const [first, ...pages] = asked;
    expect(first?.search).toBe("?evidence=named");
    expect(pages).toHaveLength(Math.ceil(rows.length / 17));
    for (const { searchParams } of pages) {
      expect(searchParams.get("attempt")).toBe("1");
      expect(searchParams.get("through")).toBe(String(NOW / 10_000));
    }
  });

  it("finds a difference in it", async () => {
    const { exitCode, out } = await replayingPages(rows, { decision: { ...analysis, bakedSeconds: 7 } });
    expect([exitCode, out]).toEqual([1, expect.stringContaining("bakedSeconds\n  - 7")]);
  });

  it("says meanwhile how far it is, to somebody at a terminal", async () => {
    const { drawn } = await replayingPages(rows, { isTerminal: true });
    expect([drawn[0], drawn.at(-2), drawn.at(-1)]).toEqual(["17 rows of evidence", "122 rows of evidence", "end"]);
    expect((await replayingPages(rows)).drawn).toEqual([]);
  });
});

describe("GA-177 a replay of an analysis", () => {
  const saidOf = async (...given: Parameters<typeof replayingPages>) => {
    const { exitCode, out, err } = await replayingPages(...given);
    return { exitCode, out, code: /evidence_\w+|not_replayable/.exec(err)?.[0] };
  };

  it("says that its evidence is gone, were it a single row", async () => {
    const gone = { exitCode: 1, out: "", code: "evidence_gone" };
    expect(await saidOf(rows.slice(1))).toEqual(gone);
    expect(await saidOf([])).toEqual(gone);
  });

  it("says that its evidence cannot be read, or is of another release", async () => {
    expect(await saidOf("unreadable")).toEqual({ exitCode: 1, out: "", code: "evidence_unreadable" });
    const decision = { ...analysis, inputs: { kind: "analysis" } };
    expect(await saidOf(rows, { decision })).toEqual({ exitCode: 1, out: "", code: "not_replayable" });
  });
});

it("a decision that cannot be one is refused before anything is sent", async () => {
  const { world } = createTestWorld({ env: { BUNTING_TOKEN: TOKEN }, fetch: () => Promise.reject(new Error("sent")) });
  for (const id of ["17", "ro-1", "../x.1", "ro-1.x"]) expect(await run(["rollout", "replay", id], world)).toBe(2);
});
