import type { Ruleset } from "@bunting/contracts";
import { CHECKSUM_MODULUS } from "@bunting/contracts/literals";

/** No entries. */
export const EMPTY_CHECKSUM = "000000000000";

/** Sums of checksums modulo 2^48: exact in a double, and free of order, so a patch updates a ruleset's in O(its own size). */
export function addChecksums(a: string, b: string): string {
  return format((parse(a) + parse(b)) % CHECKSUM_MODULUS);
}

export function subtractChecksums(a: string, b: string): string {
  return format((parse(a) - parse(b) + CHECKSUM_MODULUS) % CHECKSUM_MODULUS);
}

/** The checksum that the entries of a ruleset add up to, whatever it announces itself. */
export function rulesetChecksum(ruleset: Pick<Ruleset, "flags" | "segments">): string {
  let sum = 0;
  for (const entry of Object.values(ruleset.flags)) sum = (sum + parse(entry.checksum)) % CHECKSUM_MODULUS;
  for (const entry of Object.values(ruleset.segments)) sum = (sum + parse(entry.checksum)) % CHECKSUM_MODULUS;
  return format(sum);
}

/**
 * An entry as the bytes its checksum is made of (EV-70): JSON as RFC 8785 writes it, without `checksum`. The first 48 bits of
 * the SHA-256 of its UTF-8, in hex, are the checksum; hashing is left to whoever has a hash.
 */
export function checksumInput(entry: object): string {
  const { checksum: _, ...content } = entry as { readonly checksum?: unknown };
  return canonicalJson(content);
}

/** JSON with sorted keys and no white space. `value` is JSON already: nothing else is expected in it. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    let list = "";
    // No array of texts in between: a list can have half a million numbers.
    for (const element of value) list += list === "" ? canonicalJson(element) : `,${canonicalJson(element)}`;
    return `[${list}]`;
  }
  const object = value as Readonly<Record<string, unknown>>;
  const members = Object.keys(object)
    .filter((key) => object[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key])}`);
  return `{${members.join(",")}}`;
}

function parse(checksum: string): number {
  return Number.parseInt(checksum, 16);
}

function format(sum: number): string {
  return sum.toString(16).padStart(EMPTY_CHECKSUM.length, "0");
}
