/** Whether something that failed lately is tried at all. Pure: `now` is an argument, in ms that never go back. */
export type Circuit =
  | { readonly state: "closed"; readonly failures: number }
  /** Nothing is tried before `until`. */
  | { readonly state: "open"; readonly until: number }
  /** One try is under way; everyone else waits for how it ends, at most until `until`. */
  | { readonly state: "probing"; readonly until: number };

export interface CircuitPolicy {
  /** This many failures in a row open the circuit. */
  readonly failures: number;
  /** How long it stays open before one probe is let through. */
  readonly openMs: number;
}

export const CLOSED: Circuit = { state: "closed", failures: 0 };

/** Asks for leave to try. Whoever is admitted reports how it ended. */
export function admit(circuit: Circuit, now: number, policy: CircuitPolicy): { circuit: Circuit; admitted: boolean } {
  if (circuit.state === "closed") return { circuit, admitted: true };
  if (now < circuit.until) return { circuit, admitted: false };
  // A probe that never reported must not keep the circuit open for ever.
  return { circuit: { state: "probing", until: now + policy.openMs }, admitted: true };
}

/** A late success of a try from before the circuit opened proves nothing about now: only a probe closes it. */
export function succeeded(circuit: Circuit): Circuit {
  return circuit.state === "open" ? circuit : CLOSED;
}

export function failed(circuit: Circuit, now: number, policy: CircuitPolicy): Circuit {
  if (circuit.state === "open") return circuit;
  const failures = circuit.state === "closed" ? circuit.failures + 1 : policy.failures;
  return failures < policy.failures ? { state: "closed", failures } : { state: "open", until: now + policy.openMs };
}
