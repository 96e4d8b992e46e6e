import type * as contracts from "@bunting/contracts";
import { describe, expectTypeOf, it } from "vitest";
import type { StateName } from "./lifecycle/machine.ts";
import type { Evaluation, EvaluationErrorCode, LifecycleState, Position, Reason } from "./types.ts";

describe("public types are written out, and equal to what they stand for", () => {
  it("those of the contracts", () => {
    expectTypeOf<Reason>().toEqualTypeOf<contracts.Reason>();
    expectTypeOf<EvaluationErrorCode>().toEqualTypeOf<contracts.EvaluationErrorCode>();
    expectTypeOf<contracts.Position>().toExtend<Position>();
    expectTypeOf<keyof Position>().toEqualTypeOf<keyof contracts.Position>();
    expectTypeOf<contracts.EvaluationResult>().toExtend<Pick<Evaluation, "value" | "variant" | "reason" | "detail">>();
    expectTypeOf<Pick<Evaluation, "variant" | "reason" | "detail" | "errorCode">>().toExtend<
      Omit<contracts.EvaluationResult, "value">
    >();
  });

  it("those of the lifecycle", () => {
    expectTypeOf<LifecycleState>().toEqualTypeOf<StateName>();
  });
});
