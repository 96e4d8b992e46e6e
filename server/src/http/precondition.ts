import type { Refusal } from "../ledger/command.ts";
import { invalidField } from "./problem.ts";

/** What `If-Match` asked: nothing, any existing version (`*`), one version, or something no version of ours can equal. */
export type IfMatch =
  | { readonly kind: "absent" }
  | { readonly kind: "any" }
  | { readonly kind: "version"; readonly version: number }
  | { readonly kind: "never" };

/** A version as a strong entity tag. */
export function etag(version: number): string {
  return `"${version}"`;
}

/**
 * RFC 9110, section 13.1.1, by strong comparison: a weak tag or one that is none of ours matches nothing (412, not 400). A list
 * of tags is refused, because a compare-and-set has one version to compare with.
 */
export function parseIfMatch(
  header: string | undefined,
): IfMatch | { readonly kind: "malformed"; readonly refusal: Refusal } {
  if (header === undefined) return { kind: "absent" };
  const value = header.trim();
  if (value === "*") return { kind: "any" };
  if (/^"[1-9][0-9]{0,14}"$/.test(value)) return { kind: "version", version: Number(value.slice(1, -1)) };
  if (/^(?:W\/)?"[\x21\x23-\x7e]*"$/.test(value)) return { kind: "never" };
  return { kind: "malformed", refusal: invalidField("header.If-Match", 'Send one entity tag, as in "12", or *.') };
}

/** The version a command compares with; null: any. */
export function expectedVersion(ifMatch: IfMatch): number | null {
  switch (ifMatch.kind) {
    case "absent":
    case "any":
      return null;
    case "version":
      return ifMatch.version;
    case "never":
      return Number.MAX_SAFE_INTEGER;
  }
}
