import { describe, expect, it } from "vitest";
import { metricsFor } from "./metrics.ts";
import { Report, shares } from "./report.ts";
import { Scorecard } from "./scorecard.ts";

function reported(tell: (report: Report) => void): string {
  const lines: string[] = [];
  tell(new Report(new Scorecard(metricsFor({ unusedSeconds: 10 })), (line) => lines.push(line)));
  return lines.join("\n");
}

describe("the report", () => {
  it("shows a figure beside its limit, with what it was measured of", () => {
    expect(reported((report) => report.measure("version_load_time_ms", 145.23, "v1"))).toMatch(
      /^ {2}version_load_time_ms +145\.2 ms \(v1\) +✓ < 200$/,
    );
    expect(reported((report) => report.measure("canary_accuracy", 15))).toMatch(/15 % +✗ 8 to 12$/);
  });

  it("sums up all of a metric's figures, or their range, and says what was never measured", () => {
    const text = reported((report) => {
      for (const ms of [12, 8.5, 12]) report.measure("gc_time_ms", ms);
      for (let ms = 1; ms <= 9; ms += 1) report.measure("rollback_time_ms", ms * 30);
      report.end();
    }).split("METRICS SUMMARY")[1];
    expect(text).toMatch(/gc_time_ms +12, 8\.50 ms +✓ < 100/);
    expect(text).toMatch(/rollback_time_ms +30 to 270 ms +✗ < 200/);
    expect(text).toMatch(/gc_trigger_time_s +never measured +✗ 10 to 11/);
    expect(text).toMatch(/✗ no_crashes: FAIL/);
    expect(text).toMatch(/\nResult: FAILED$/);
  });

  it("counts shares in the order of versions", () => {
    expect(shares({ v2: 10, v1: 90 })).toBe("v1 90 (90.0 %), v2 10 (10.0 %)");
  });
});
