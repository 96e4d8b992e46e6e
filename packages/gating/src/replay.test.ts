import type { DecisionRecord, Json } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { type CommandInputs, decideCommand } from "./command.ts";
import { type DecisionInputs, decide } from "./decide.ts";
import { replay } from "./replay.ts";
import {
  cellsOf,
  exposedAt,
  inputsWith,
  OFF,
  ON,
  planWith,
  rolloutWith,
  runningWith,
  TUESDAY,
} from "./rollout-fixture.ts";
import type { DecisionDraft } from "./ruling.ts";

const ENGINE = "node 22.12.0, v8 12.4";
/** As it comes back from a store. */
const stored = (draft: DecisionDraft, inputs: DecisionInputs | CommandInputs): DecisionRecord =>
  JSON.parse(JSON.stringify({ ...draft, id: "d-1", revision: 12, engine: ENGINE, inputs: inputs as unknown as Json }));

function analysed(errorCount: number): DecisionRecord {
  const canary = { outcomeCount: 300, errorCount, p50Ms: 55, p99Ms: 230 };
  const control = { outcomeCount: 3000, errorCount: 15, p50Ms: 50, p99Ms: 200 };
  const inputs = inputsWith({
    rollout: runningWith({
      plan: planWith({
        guardrails: [
          {
            metric: "error_rate",
            max: 0.01,
            worseThanControl: true,
            onFail: "rollback",
            forSeconds: 0,
            required: true,
            exclusive: false,
          },
          {
            metric: "latency_p99",
            maxIncreasePercent: 25,
            onFail: "rollback",
            forSeconds: 0,
            required: true,
            exclusive: false,
          },
        ],
      }),
    }),
    cells: cellsOf({ from: TUESDAY, to: TUESDAY + 300_000, stage: 1 }, exposedAt(5, { canary, control })),
  });
  return stored(decide(inputs).decision, inputs);
}

describe("GA-170 a decision is made again from its stored inputs, byte for byte", () => {
  it("property: whatever the evidence says", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40 }), (errorCount) => {
        const record = analysed(errorCount);
        const { same, comparison, differences } = replay(record, ENGINE);
        expect({ same, comparison, differences }).toEqual({ same: true, comparison: "bytes", differences: [] });
      }),
      { numRuns: 15 },
    );
  });

  it("also of a person's command", () => {
    const inputs: CommandInputs = {
      kind: "command",
      rollout: rolloutWith(),
      command: { type: "start", by: { name: "ana", token: "t-1", roles: [] }, comment: "Tuesday release" },
      variants: [ON, OFF],
      configuration: { rules: [], fallthrough: { variant: OFF }, killed: null, version: 3 },
      latest: null,
      now: TUESDAY,
    };
    const ruling = decideCommand(inputs);
    expect("refusal" in ruling).toBe(false);
    if (!("refusal" in ruling)) expect(replay(stored(ruling.decision, inputs), ENGINE).same).toBe(true);
  });

  it("names what differs, if a record was tampered with or the code decides otherwise now", () => {
    const record = analysed(1);
    const tampered = { ...record, action: "promote" as const, bakedSeconds: record.bakedSeconds + 60 };
    expect(replay(tampered, ENGINE)).toMatchObject({
      same: false,
      differences: [
        { path: "action", recorded: '"promote"' },
        { path: "bakedSeconds", recorded: String(record.bakedSeconds + 60), replayed: String(record.bakedSeconds) },
      ],
    });
  });

  it("knows inputs that are none", () => {
    expect(replay({ ...analysed(1), inputs: null }, ENGINE)).toMatchObject({ same: false, decision: null });
    expect(replay({ ...analysed(1), inputs: { kind: "analysis" } }, ENGINE)).toMatchObject({
      same: false,
      decision: null,
    });
    expect(replay({ ...analysed(1), inputs: { kind: "horoscope" } }, ENGINE)).toMatchObject({
      same: false,
      decision: null,
    });
  });
});

describe("GA-171 across engines, numbers are compared to nine significant digits", () => {
  const nudged = (factor: number): DecisionRecord => {
    const record = analysed(3);
    return {
      ...record,
      guardrails: record.guardrails.map((guardrail) => ({
        ...guardrail,
        canary: guardrail.canary === null ? null : guardrail.canary * factor,
      })),
    };
  };

  it("and a last bit is no difference, a figure is", () => {
    expect(replay(nudged(1 + 2 ** -50), "node 24.0.0, v8 13.6")).toMatchObject({ same: true, comparison: "rounded" });
    expect(replay(nudged(1 + 1e-6), "node 24.0.0, v8 13.6").same).toBe(false);
  });

  it("while within one engine a last bit is one", () => {
    expect(replay(nudged(1 + 2 ** -50), ENGINE)).toMatchObject({ same: false, comparison: "bytes" });
  });
});

describe("GA-172 canonical JSON", () => {
  it("property: does not depend on the order of keys, and is JSON of the same value", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(reversed)).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
