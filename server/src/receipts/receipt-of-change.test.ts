import type { EnvironmentKey, Receipt } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import type { State } from "../ledger/state.ts";
import { receiptOfChange } from "./receipt-of-change.ts";

const environment = "production" as EnvironmentKey;
const change = { environment, epoch: "e1", revision: 7 };
const { signal } = new AbortController();

/** A ledger and a delivery that know of one receipt, and what happens while somebody waits for it. */
function setUp({ meanwhile = "", kept = true } = {}) {
  const ledger = { state: { epoch: "e1" } as State };
  const asked: { readonly revision: number; readonly waitMs: number; readonly signal: AbortSignal | undefined }[] = [];
  const receipt = { environment, revision: 7 } as Receipt;
  const delivery = {
    receipt: () => (kept ? receipt : undefined),
    waitForReceipt: async (_environment: EnvironmentKey, revision: number, waitMs: number, given?: AbortSignal) => {
      asked.push({ revision, waitMs, signal: given });
      if (meanwhile !== "") ledger.state = { epoch: meanwhile } as State;
      return receipt;
    },
  };
  return { parts: { ledger, delivery }, asked, receipt };
}

describe("the receipt of a change", () => {
  it("is given as it stands to whoever does not wait", async () => {
    const { parts, asked, receipt } = setUp();
    expect(await receiptOfChange(change, { waitMs: 0, signal }, parts)).toBe(receipt);
    expect(asked).toEqual([]);
  });

  it("is waited for no longer than the client is there", async () => {
    const { parts, asked, receipt } = setUp();
    expect(await receiptOfChange(change, { waitMs: 500, signal }, parts)).toBe(receipt);
    expect(asked).toEqual([{ revision: 7, waitMs: 500, signal }]);
  });

  it("is none of a change of an earlier epoch, which nobody waits for", async () => {
    const { parts, asked } = setUp();
    expect(await receiptOfChange({ ...change, epoch: "e0" }, { waitMs: 500, signal }, parts)).toBeNull();
    expect(asked).toEqual([]);
  });

  it("is none if history was rewritten during the wait: its revision is another change's now", async () => {
    const { parts } = setUp({ meanwhile: "e2" });
    expect(await receiptOfChange(change, { waitMs: 500, signal }, parts)).toBeNull();
  });

  it("is none if it is not kept any more", async () => {
    const { parts } = setUp({ kept: false });
    expect(await receiptOfChange(change, { waitMs: 0, signal }, parts)).toBeNull();
  });
});
