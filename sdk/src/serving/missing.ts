import type { Evaluation } from "../types.ts";
import type { Serving } from "./evaluator.ts";

/** A flag that is not in the ruleset, or no ruleset at all: then a boolean override still counts (LC-56). */
export function missing({ table, slots }: Serving, key: string): boolean | undefined {
  if (table.revision === null) return table.booleanOverride(key);
  slots.countUnknown(key);
  return undefined;
}

export function variantOfMissing(forced: boolean | undefined): string | null {
  return forced === undefined ? null : forced ? "on" : "off";
}

export function evaluateMissing(serving: Serving, key: string): Omit<Evaluation, "revision" | "ageMs"> {
  const forced = missing(serving, key);
  if (forced !== undefined) {
    return { value: forced, variant: variantOfMissing(forced), reason: "STATIC", detail: "override" };
  }
  const nothing = { value: null, variant: null, reason: "ERROR" } as const;
  return serving.table.revision === null
    ? { ...nothing, detail: "not_ready", errorCode: "PROVIDER_NOT_READY" }
    : { ...nothing, detail: "flag_not_found", errorCode: "FLAG_NOT_FOUND" };
}
