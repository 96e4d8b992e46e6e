import { type RolloutView, rolloutView } from "@bunting/contracts";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { ROLLOUT } from "./examples.ts";
import { observeGuardrails } from "./guardrail-metrics.ts";

const [errors] = ROLLOUT.guardrails;
const rollout = (fields: object = {}): RolloutView => rolloutView.parse({ ...ROLLOUT, ...fields });

/** Lines without comments. */
async function scrape(...live: RolloutView[]): Promise<readonly string[]> {
  const registry = new Registry();
  observeGuardrails(registry, () => live);
  return (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

describe("TE-113 what was measured for guardrails", () => {
  it("is shown by guardrail and arm, and its ratio with its confidence sequence", async () => {
    const conversion = { ...errors, id: "conversion", canary: 0.04, control: 0.05, rateRatio: null };
    const gauge = { ...errors, id: "lighthouse", canary: 93, control: null, rateRatio: null };
    const p99 = { ...errors, id: "p99", rateRatio: { low: null, estimate: 1.2, high: null } };
    const of = (id: string) => `environment="production",flag="redis-readthrough",guardrail="${id}"`;
    expect(await scrape(rollout({ guardrails: [errors, conversion, gauge, p99] }))).toEqual([
      `bunting_rollout_guardrail_value{${of("error_rate")},arm="canary"} 0.0031`,
      `bunting_rollout_guardrail_value{${of("error_rate")},arm="control"} 0.0034`,
      `bunting_rollout_guardrail_value{${of("conversion")},arm="canary"} 0.04`,
      `bunting_rollout_guardrail_value{${of("conversion")},arm="control"} 0.05`,
      `bunting_rollout_guardrail_value{${of("lighthouse")},arm="canary"} 93`,
      `bunting_rollout_guardrail_value{${of("p99")},arm="canary"} 0.0031`,
      `bunting_rollout_guardrail_value{${of("p99")},arm="control"} 0.0034`,
      `bunting_rollout_guardrail_ratio{${of("error_rate")},bound="low"} 0.41`,
      `bunting_rollout_guardrail_ratio{${of("error_rate")},bound="estimate"} 0.91`,
      `bunting_rollout_guardrail_ratio{${of("error_rate")},bound="high"} 1.72`,
      `bunting_rollout_guardrail_ratio{${of("p99")},bound="estimate"} 1.2`,
    ]);
  });

  it("is shown of fifty rollouts at most, and of none that has not been looked at", async () => {
    const many = Array.from({ length: 60 }, (_, index) => rollout({ flag: `flag-${index}`, guardrails: [errors] }));
    expect((await scrape(...many)).filter((line) => line.includes('arm="canary"'))).toHaveLength(50);
    expect(await scrape(rollout({ guardrails: [] }))).toEqual([]);
  });
});
