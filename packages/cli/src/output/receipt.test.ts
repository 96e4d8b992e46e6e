import { describe, expect, it } from "vitest";
import { PLAIN, samplePending, sampleReceipt } from "../test-world.ts";
import { receiptLine, renderReceipt } from "./receipt.ts";

describe("a receipt", () => {
  it("that is complete is one line of proof", () => {
    expect(renderReceipt(sampleReceipt(), PLAIN)).toBe(
      "2,413/2,413 instances applied, p50 9.4 ms, p99 31 ms, max 1044 ms",
    );
  });

  it("names those that have not applied it, and says how many more there are", () => {
    const receipt = sampleReceipt({
      applied: 2410,
      pendingCount: 3,
      complete: false,
      pending: [samplePending("shop-7"), samplePending("shop-9", { connected: false, acknowledged: 300 })],
    });
    const lines = renderReceipt(receipt, PLAIN).split("\n");
    expect(lines[0]).toBe("2,410/2,413 instances applied, p50 9.4 ms, p99 31 ms, max 1044 ms");
    expect(lines[2]).toMatch(/^shop-7 .*connected, silent.*317 of 318/);
    expect(lines[3]).toMatch(/^shop-9 .*connection lost.*300 of 318/);
    expect(lines[4]).toBe("… and 1 more");
  });

  it("says so if nobody was connected, instead of 0/0", () => {
    const nobody = sampleReceipt({ connected: 0, applied: 0, latencyMs: null });
    expect(receiptLine(nobody)).toBe("No instance was connected.");
    expect(receiptLine({ ...nobody, late: 2 })).toBe("No instance was connected; 2 instances connected later.");
  });

  it("has no latencies before the first ack", () => {
    expect(receiptLine(sampleReceipt({ applied: 0, pendingCount: 2413, latencyMs: null, complete: false }))).toBe(
      "0/2,413 instances applied",
    );
  });
});
