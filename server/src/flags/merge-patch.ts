import { RESERVED_KEYS } from "@bunting/contracts/literals";

type Members = Readonly<Record<string, unknown>>;

/**
 * JSON merge patch (RFC 7396): null removes a member, objects merge, everything else replaces. Neither argument is changed,
 * and reserved member names are left out, so a patch cannot reach a prototype; refuse them first with
 * {@link findReservedKey}, for the caller's sake.
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map<string, unknown>(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (reserved.has(name)) continue;
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/** JSON pointer of the first member, at any depth, whose name is part of JavaScript's prototype machinery. */
export function findReservedKey(value: unknown, path = ""): string | null {
  if (typeof value !== "object" || value === null) return null;
  for (const [name, member] of Object.entries(value)) {
    const here = `${path}/${escapePointer(name)}`;
    if (reserved.has(name)) return here;
    const below = findReservedKey(member, here);
    if (below !== null) return below;
  }
  return null;
}

/** A path as a JSON pointer (RFC 6901). */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${escapePointer(String(part))}`).join("");
}

const reserved: ReadonlySet<string> = new Set(RESERVED_KEYS);

export function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function escapePointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
