import { describe, expect, it } from "vitest";
import { admit, type Circuit, CLOSED, failed, succeeded } from "./circuit.ts";

const policy = { failures: 3, openMs: 1000 };
const failedTimes = (times: number): Circuit =>
  Array.from({ length: times }).reduce<Circuit>((circuit) => failed(circuit, 0, policy), CLOSED);

describe("the circuit", () => {
  it("opens after so many failures in a row", () => {
    expect(admit(failedTimes(2), 0, policy).admitted).toBe(true);
    expect(admit(failedTimes(3), 0, policy).admitted).toBe(false);
  });

  it("starts counting anew after a success", () => {
    const again = failed(failed(succeeded(failedTimes(2)), 0, policy), 0, policy);
    expect(admit(again, 0, policy).admitted).toBe(true);
  });

  it("lets one probe through after its time, and only one", () => {
    const open = failedTimes(3);
    expect(admit(open, 999, policy).admitted).toBe(false);
    const probe = admit(open, 1000, policy);
    expect(probe.admitted).toBe(true);
    expect(admit(probe.circuit, 1001, policy).admitted).toBe(false);
  });

  it("closes when the probe succeeds and opens again when it fails", () => {
    const { circuit } = admit(failedTimes(3), 1000, policy);
    expect(succeeded(circuit)).toBe(CLOSED);
    expect(admit(failed(circuit, 1500, policy), 2499, policy).admitted).toBe(false);
    expect(admit(failed(circuit, 1500, policy), 2500, policy).admitted).toBe(true);
  });

  it("probes again when a probe never reported", () => {
    const { circuit } = admit(failedTimes(3), 1000, policy);
    expect(admit(circuit, 2000, policy).admitted).toBe(true);
  });

  it("is not closed by a success from before it opened", () => {
    expect(admit(succeeded(failedTimes(3)), 1, policy).admitted).toBe(false);
  });

  it("is not kept open by failures from before it opened", () => {
    const late = failed(failedTimes(3), 900, policy);
    expect(admit(late, 1000, policy).admitted).toBe(true);
  });
});
