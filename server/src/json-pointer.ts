import { LIMITS } from "@bunting/contracts/literals";

/** RFC 6901. Long names are cut: a pointer is for people to find the place, and goes into an answer. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${cut(String(step).replaceAll("~", "~0").replaceAll("/", "~1"))}`).join("");
}

function cut(name: string): string {
  return name.length <= LIMITS.keyCharacters ? name : `${name.slice(0, LIMITS.keyCharacters).toWellFormed()}…`;
}
