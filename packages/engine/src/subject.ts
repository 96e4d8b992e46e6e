import { LIMITS } from "@bunting/contracts/literals";
import { utf8Length } from "./bucket.ts";

/**
 * Whom a flag is decided for: a targeting key, or attributes, of which `key` is the targeting key. Only own properties count
 * (EV-11), and nothing is ever written or kept.
 */
export type Subject = string | object;

/** The subset of JSON that an attribute, or an element of a list, is compared as. */
export type Scalar = string | number | boolean;

/** Where a condition or `bucketBy` looks. Prepared once per condition, so that reading builds no strings. */
export interface Attribute {
  readonly name: string;
  /** The decoded steps of a JSON pointer; `null`: a plain attribute; `undefined`: a pointer with a bad escape. */
  readonly steps: readonly string[] | null | undefined;
  /** It is the targeting key, which a subject that is a text has too. */
  readonly isKey: boolean;
}

export function attributeNamed(name: string): Attribute {
  return { name, steps: name.startsWith("/") ? pointerSteps(name) : null, isKey: name === "key" || name === "/key" };
}

/**
 * The attribute's value: a scalar, a list or an object; `undefined` if it is missing (EV-12). Getters and proxies of the
 * caller may throw here: the evaluation that reads is what catches.
 */
export function readAttribute(subject: Subject, attribute: Attribute): Scalar | object | undefined {
  if (attribute.isKey) return present(ownKey(subject));
  // A list has properties of its own, but it is no context (EV-10).
  if (Array.isArray(subject)) return undefined;
  const { steps } = attribute;
  if (steps === null) return present(own(subject, attribute.name));
  if (steps === undefined) return undefined;
  let value: unknown = subject;
  for (let index = 0; index < steps.length; index += 1) {
    const step = steps[index] as string;
    value = Array.isArray(value) && !ARRAY_INDEX.test(step) ? undefined : own(value, step);
  }
  return present(value);
}

/** The first of the attributes that can be a bucketing key, as text (EV-50). */
export function bucketingKey(subject: Subject, attributes: readonly Attribute[]): string | undefined {
  for (let index = 0; index < attributes.length; index += 1) {
    const attribute = attributes[index] as Attribute;
    const key = attribute.isKey ? targetingKey(subject) : keyText(readAttribute(subject, attribute));
    if (key !== undefined) return key;
  }
  return undefined;
}

/** The targeting key as text, whatever the flag buckets by. */
export function targetingKey(subject: Subject): string | undefined {
  return shortKey(subject) ?? keyText(ownKey(subject));
}

/** The targeting key of nearly everyone; undefined where only {@link targetingKey} can tell. Never throws. */
export function shortKey(subject: Subject): string | undefined {
  const value = typeof subject === "string" ? subject : plainKey(subject);
  return typeof value === "string" && value.length !== 0 && value.length <= SURELY_SHORT ? value : undefined;
}

/** One element of a list attribute, or `undefined` if it is no scalar. */
export function scalarAt(list: readonly unknown[], index: number): Scalar | undefined {
  const value = Object.hasOwn(list, index) ? present(list[index]) : undefined;
  return typeof value === "object" ? undefined : value;
}

const ARRAY_INDEX = /^(?:0|[1-9][0-9]*)$/;

/** A text of at most this many UTF-16 units is within the limit in UTF-8 too, so its bytes need no counting. */
const SURELY_SHORT = Math.floor(LIMITS.bucketingKeyBytes / 3);

function keyText(value: unknown): string | undefined {
  if (typeof value === "string") {
    if (value.length === 0 || value.length > LIMITS.bucketingKeyBytes) return undefined;
    return value.length <= SURELY_SHORT || utf8Length(value) <= LIMITS.bucketingKeyBytes ? value : undefined;
  }
  return typeof value === "number" && Number.isFinite(value) ? String(value) : undefined;
}

/*
 * `Object.prototype.hasOwnProperty`, because V8 compiles it to a look at the object's shape, where `Object.hasOwn` stays a
 * call, at a tenth of a whole evaluation.
 */

/**
 * The key of a plain object, or undefined where {@link ownKey} has to look. An object whose prototype is `Object.prototype`
 * inherits no key unless somebody put one there, and asking that costs the compiler two constants, where `hasOwnProperty` is
 * a call. The key is read first because only then does the compiler know the object's shape; what a class has in its place
 * is called for nothing, and neither its answer nor its failure counts.
 */
function plainKey(subject: object): unknown {
  // Not by `isObject`: a question asked where its answer branches is two nanoseconds sooner answered than by a call.
  if (typeof subject !== "object" || subject === null) return undefined;
  try {
    const value = (subject as { key?: unknown }).key;
    return Object.getPrototypeOf(subject) === Object.prototype && !("key" in Object.prototype) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** `own(subject, "key")` with a constant name: a fixed offset for the compiler, where a variable name is a look-up. */
function ownKey(subject: Subject): unknown {
  if (typeof subject === "string") return subject;
  if (!isObject(subject) || !Object.prototype.hasOwnProperty.call(subject, "key")) return undefined;
  return (subject as { key: unknown }).key;
}

function own(value: unknown, name: string): unknown {
  if (!isObject(value) || !Object.prototype.hasOwnProperty.call(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The value as a condition sees it; undefined where it is missing, or JSON could not carry it. */
function present(value: unknown): Scalar | object | undefined {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (!isObject(value) || (Array.isArray(value) && value.length > LIMITS.listElements)) return undefined;
  return value;
}

function pointerSteps(pointer: string): readonly string[] | undefined {
  const steps = pointer.slice(1).split("/");
  if (steps.some((step) => /~(?![01])/.test(step))) return undefined;
  return steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}
