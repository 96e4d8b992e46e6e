/*
 * Instants are Unix ms inside and RFC 3339 text outside. Converting between the two reads no clock; it stands here because
 * nothing else in the server may name Date.
 */

/** RFC 3339 in UTC with milliseconds. */
export function toInstant(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** Unix ms of an instant that has been validated before. */
export function toUnixMs(instant: string): number {
  return Date.parse(instant);
}
