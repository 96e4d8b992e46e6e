/** Unix ms as an RFC 3339 instant in UTC with milliseconds: how instants are stored and shown. Not a clock. */
export function toInstant(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** An RFC 3339 instant as Unix ms. */
export function fromInstant(instant: string): number {
  return Date.parse(instant);
}
