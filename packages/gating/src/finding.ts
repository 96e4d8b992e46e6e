import type { HoldCause } from "@bunting/contracts";
import type { Failure, Finding } from "./judgement.ts";

/** A condition that held, and what a failure asks for. */
export interface Found extends Finding {
  readonly failure?: Failure;
}

export const fail = (because: string, failure: Failure): Found => ({ verdict: "fail", cause: null, because, failure });

export const hold = (cause: HoldCause, because: string): Found => ({ verdict: "hold", cause, because });
