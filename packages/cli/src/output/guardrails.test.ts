import { describe, expect, it } from "vitest";
import { PLAIN, sampleRollout, sampleVerdict } from "../test-world.ts";
import { renderGuardrails } from "./guardrails.ts";

const { plan } = sampleRollout();
const latency = sampleVerdict({
  id: "latency_p99",
  limit: "latency_p99 <= 500 ms",
  verdict: "fail",
  canary: 812.4,
  control: 240,
  rateRatio: null,
  failingSince: "2026-01-31T11:58:00.000Z",
  explanation: "812 ms are above 500 ms.",
});

describe("guardrails", () => {
  it("show canary against control as figures and as a picture, with the limit, and why one does not pass", () => {
    expect(renderGuardrails([sampleVerdict(), latency], plan, PLAIN).split("\n")).toEqual([
      "  GUARDRAIL    CANARY  CONTROL  ÷2             =             ×2",
      "✓ error_rate   0.42 %    0.4 %  ·······├───────┼●────────┤·····  1.05x",
      "  error_rate <= 1 % and not worse than the control; else it rolls back",
      "✗ latency_p99  812 ms   240 ms",
      "  latency_p99 <= 500 ms; else it rolls back; failing since 2026-01-31 11:58:00 UTC",
      "  812 ms are above 500 ms.",
    ]);
  });

  it("say in figures what a picture would show, where the screen has no room for one", () => {
    const narrow = { ...PLAIN, columns: 60 };
    const { rateRatio } = sampleVerdict();
    const unbounded = sampleVerdict({ id: "conversion", rateRatio: rateRatio && { ...rateRatio, low: null } });
    const lines = renderGuardrails([sampleVerdict(), unbounded], plan, narrow).split("\n");
    expect(lines[0]).toBe("  GUARDRAIL   CANARY  CONTROL");
    expect(lines[1]).toMatch(/^✓ error_rate {2}0\.42 % {4}0\.4 % {2}1\.05x, surely 0\.\d+x to 1\.\d+x$/);
    expect(lines[3]).toMatch(/1\.05x, surely at most 1\.\d+x$/);
    expect(lines[1]?.length).toBeLessThanOrEqual(60);
  });

  it("say that a failure is left to people where the plan rolls nothing back by itself", () => {
    const kills = sampleVerdict({ id: "hits", onFail: "kill" });
    const alerts = sampleVerdict({ id: "cpu", onFail: "alert" });
    const shown = renderGuardrails([sampleVerdict(), kills, alerts], { ...plan, autoRollback: false }, PLAIN);
    expect(shown.match(/; else .+/g)).toEqual([
      "; else people decide",
      "; else people decide",
      "; else people are told",
    ]);
  });

  it("have no scale where there is no picture", () => {
    expect(renderGuardrails([latency], plan, PLAIN)).not.toContain("÷");
  });

  it("show a dash where nothing was measured, and say which are informational", () => {
    const silent = sampleVerdict({
      verdict: "hold",
      cause: "no_data",
      canary: null,
      control: null,
      rateRatio: null,
      required: false,
    });
    expect(renderGuardrails([silent], plan, PLAIN)).toMatch(/^… error_rate +– +–$/m);
    expect(renderGuardrails([silent], plan, PLAIN)).toContain("; informational");
  });

  it("have the unit of their metric, under whatever name", () => {
    const named = {
      ...plan,
      guardrails: [
        { ...plan.guardrails[0], id: "errors" },
        { metric: "conversion", kind: "ratio", min: 0.1 },
        { metric: "lighthouse", kind: "gauge", min: 90 },
        { source: "prometheus", query: "up", min: 1 },
      ],
    } as unknown as typeof plan;
    const figure = (id: string): string | undefined => {
      const verdict = sampleVerdict({ id, canary: 0.5, control: null, rateRatio: null });
      return renderGuardrails([verdict], named, PLAIN).split("\n")[1]?.replaceAll(/ +/g, " ");
    };
    expect(figure("errors")).toBe("✓ errors 50 % –");
    expect(figure("conversion")).toBe("✓ conversion 50 % –");
    expect(figure("conversion-2")).toBe("✓ conversion-2 50 % –");
    expect(figure("lighthouse")).toBe("✓ lighthouse 0.5 –");
    expect(figure("prometheus-1")).toBe("✓ prometheus-1 0.5 –");
  });
});
