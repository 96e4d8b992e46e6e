import type { Scalar } from "../subject.ts";
import { compareWithOne, type TestOf } from "./test.ts";

const REMEDY = "Give a number, without quotes.";

/** EV-26. */
export const greater: TestOf = compareWithOne(number, REMEDY, (attribute, value) => attribute > value);
export const greaterOrEqual: TestOf = compareWithOne(number, REMEDY, (attribute, value) => attribute >= value);
export const less: TestOf = compareWithOne(number, REMEDY, (attribute, value) => attribute < value);
export const lessOrEqual: TestOf = compareWithOne(number, REMEDY, (attribute, value) => attribute <= value);

function number(value: Scalar): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
