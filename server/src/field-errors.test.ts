import { clientMessage, configurationDraft, rolloutPlan } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { fieldErrors, readDocument } from "./field-errors.ts";

const lengthOf = (document: unknown): number => JSON.stringify(document).length;
const flaws = (document: unknown): number =>
  readDocument(configurationDraft, document, lengthOf(document)).error?.issues.length ?? 0;

describe("reading a document", () => {
  it("names every flaw of a small one", () => {
    expect(flaws({ bucketBy: [1, 2, 3] })).toBeGreaterThan(3);
  });

  it("names the first flaw of a large one, and looks for no other", () => {
    const bucketBy = Array.from({ length: 200_000 }, () => 1);
    expect(flaws({ bucketBy })).toBe(1);
    expect(flaws({ enabled: true, offVariant: "off", bucketBy })).toBe(1);
    const message = { type: "telemetry", batch: { cells: bucketBy } };
    expect(readDocument(clientMessage, message, lengthOf(message)).error?.issues).toHaveLength(1);
  });

  it("gives what the schema makes of a good one, however large", () => {
    const pins = { on: Array.from({ length: 1_000 }, (_, index) => `user-with-a-long-name-${index}`) };
    const document = {
      enabled: true,
      offVariant: "off",
      bucketBy: ["key"],
      pins,
      prerequisites: [],
      rules: [],
      fallthrough: { variant: "off" },
    };
    expect(readDocument(configurationDraft, document, lengthOf(document))).toEqual({ success: true, data: document });
  });
});

describe("GA-142 a plan that cannot be read is told with the field at fault and what stands there", () => {
  const told = (differences: object): string[] => {
    const plan = { canary: "on", control: "off", stages: [{ percent: 10 }], ...differences };
    const { error } = readDocument(rolloutPlan, plan, lengthOf(plan));
    return (error?.issues ?? [])
      .flatMap((issue) => fieldErrors(issue))
      .map(({ path, message }) => `/${path.join("/")}: ${message}`);
  };

  it.each([
    [{ metric: "error_rates", max: 0.01 }, "/guardrails/0/metric: Known are error_rate, latency_p50, latency_p95 and "],
    [
      { metric: "latency_p98", maxMs: 500 },
      "/guardrails/0/metric: Known are error_rate, latency_p50, latency_p95 and ",
    ],
    [{ metric: "cpu", kind: "guage", max: 80 }, '/guardrails/0/kind: A metric of your own has a "kind": "ratio" or "'],
    [
      { metric: "conversion", minPercentOfControl: 50 },
      '/guardrails/0/kind: A metric of your own has a "kind": "ratio',
    ],
    [{ id: "hit rate", metric: "error_rate", max: 0.01 }, "/guardrails/0/id: Up to 64 letters, digits, dots, hyphens"],
  ])("a guardrail %j", (guardrail, expected) => {
    expect(told({ guardrails: [guardrail] })).toEqual([expect.stringContaining(expected)]);
  });

  it("hours, without a regular expression", () => {
    const windows = [{ timezone: "Europe/Paris", days: ["tue"], from: "9:00", to: "25:00" }];
    expect(told({ windows })).toEqual([
      "/windows/0/from: A time of day is written as 09:00, from 00:00 to 24:00.",
      "/windows/0/to: A time of day is written as 09:00, from 00:00 to 24:00.",
    ]);
  });
});
