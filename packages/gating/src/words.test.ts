import type { Guardrail } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { planOf } from "./evidence-fixture.ts";
import { guardrailsOfStage, namedGuardrails } from "./guardrails.ts";
import { limitText, oddsText, percentText, significant } from "./words.ts";

const common = { onFail: "rollback", forSeconds: 0, required: true, exclusive: false } as const;

describe("what people read", () => {
  it.each<[Guardrail, string]>([
    [
      { metric: "error_rate", max: 0.01, worseThanControl: true, ...common },
      "error_rate <= 1 % and not worse than the control",
    ],
    [
      { metric: "latency_p99", maxMs: 500, maxIncreasePercent: 25, ...common },
      "latency_p99 <= 500 ms and at most 25 % slower than the control",
    ],
    [
      { metric: "conversion", kind: "ratio", minPercentOfControl: 50, ...common },
      "conversion >= 50 % of the control's",
    ],
    [
      { metric: "lighthouse", kind: "gauge", min: 90, maxAgeSeconds: 60, ...common, exclusive: true },
      "lighthouse > 90",
    ],
    [{ source: "prometheus", query: "up", max: 0.02, ...common, forSeconds: 300 }, "query <= 0.02, failing for 300 s"],
  ])("%o", (guardrail, expected) => {
    expect(limitText(guardrail)).toBe(expected);
  });

  it("has three significant digits and no exponent", () => {
    expect([0, 0.012345, 1234.5, 1e-7, 2].map(significant)).toEqual(["0", "0.0123", "1235", "1e-7", "2"]);
    expect(percentText(0.01)).toBe("1 %");
    expect([Math.log(148.4), 30].map(oddsText)).toEqual(["148 to 1", "over a billion to 1"]);
  });
});

describe("names of guardrails", () => {
  it("are their metrics or the number of their query, and never twice the same", () => {
    const plan = planOf({
      guardrails: [
        { metric: "error_rate", max: 0.01 },
        { source: "prometheus", query: "a", max: 1 },
        { source: "prometheus", query: "b", max: 1, id: "cache" },
        { source: "prometheus", query: "c", max: 1 },
      ],
      stages: [{ percent: 5, guardrails: [{ metric: "error_rate", max: 0.02 }] }, { percent: 50 }],
    });
    const names = ["error_rate", "prometheus-1", "cache", "prometheus-2", "error_rate-2"];
    expect(namedGuardrails(plan).map(({ id }) => id)).toEqual(names);
    expect(guardrailsOfStage(plan, 0).map(({ id }) => id)).toEqual(names);
    expect(guardrailsOfStage(plan, 1).map(({ id }) => id)).toEqual(names.slice(0, 4));
  });
});
