/**
 * Text that came from elsewhere, safe to print: a flag's description must not move the cursor, recolour the screen, or turn
 * the direction of writing around. JSON needs none of this, it escapes by itself.
 */
export function visible<Value>(value: Value): Value {
  return visibleUnknown(value) as Value;
}

// Control characters but line feed and tab, line and paragraph separators, and the bidirectional controls (CVE-2021-42574).
const UNSAFE = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

function visibleUnknown(value: unknown): unknown {
  if (typeof value === "string") return value.replace(UNSAFE, escape);
  if (Array.isArray(value)) return value.map(visibleUnknown);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [visibleUnknown(key), visibleUnknown(member)]),
  );
}

function escape(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}
