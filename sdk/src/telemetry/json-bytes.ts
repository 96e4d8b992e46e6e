import { utf8Length } from "../guards.ts";

/** What a value takes of a message: bytes of UTF-8, as JSON writes it. */
export function jsonBytes(value: object): number {
  return utf8Length(JSON.stringify(value));
}
