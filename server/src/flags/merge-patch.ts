import { RESERVED_KEYS } from "@bunting/contracts/literals";

type Members = Readonly<Record<string, unknown>>;

/**
 * JSON merge patch (RFC 7396): null removes a member, objects merge, everything else replaces. Neither argument is changed,
 * and reserved member names are left out, so a patch cannot reach a prototype; the edge has refused them by then, for the
 * caller's sake.
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

const reserved: ReadonlySet<string> = new Set(RESERVED_KEYS);

export function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
