import type { Scalar } from "../subject.ts";
import type { TestOf } from "./test.ts";

/** From here on a set answers sooner than comparing one by one. */
const SET_FROM = 8;

/** `equals`, `in` and their negations (EV-24): same type, same value. */
export const equality: TestOf = (values) => {
  if (values.length === 0) {
    return { path: "/values", message: "Takes at least one value: the texts, numbers or booleans to compare with." };
  }
  if (values.length >= SET_FROM) {
    const expected: ReadonlySet<Scalar> = new Set(values);
    return (attribute) => expected.has(attribute);
  }
  const [only] = values;
  return values.length === 1 ? (attribute) => attribute === only : (attribute) => values.includes(attribute);
};
