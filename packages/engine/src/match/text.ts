import type { Scalar } from "../subject.ts";
import { compareWithAny, type TestOf } from "./test.ts";

const REMEDY = "Give a text in quotes; case matters.";

/** EV-25. */
export const contains: TestOf = compareWithAny(text, REMEDY, (attribute, value) => attribute.includes(value));
export const startsWith: TestOf = compareWithAny(text, REMEDY, (attribute, value) => attribute.startsWith(value));
export const endsWith: TestOf = compareWithAny(text, REMEDY, (attribute, value) => attribute.endsWith(value));

function text(value: Scalar): string | undefined {
  return typeof value === "string" ? value : undefined;
}
