import type { Flags } from "@bunting/sdk";
import { CHECKOUT_FLAG } from "../shop.ts";

/** A thousand customers who are asked again and again what they get. */
export const PANEL: readonly string[] = Array.from({ length: 1000 }, (_, index) => `regular-${index + 1}`);

/** Those of the panel who get the express checkout at this instance. */
export function expressCustomers(flags: Flags): ReadonlySet<string> {
  return new Set(PANEL.filter((customer) => flags.isEnabled(CHECKOUT_FLAG, { key: customer })));
}

/** How many of the panel get different answers at different instances. */
export function disagreements(fleet: readonly Flags[]): number {
  return PANEL.filter((customer) => {
    const answers = new Set(fleet.map((flags) => flags.isEnabled(CHECKOUT_FLAG, { key: customer })));
    return answers.size > 1;
  }).length;
}

export function isSubset(part: ReadonlySet<string>, whole: ReadonlySet<string>): boolean {
  return [...part].every((customer) => whole.has(customer));
}
