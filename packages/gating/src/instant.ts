import { Temporal } from "temporal-polyfill";

/** Unix ms as an RFC 3339 string in UTC with milliseconds. */
export function instantText(ms: number): string {
  return Temporal.Instant.fromEpochMilliseconds(Math.round(ms)).toString({ fractionalSecondDigits: 3 });
}

export function toUnixMs(instant: string): number {
  return Temporal.Instant.from(instant).epochMilliseconds;
}

/** Seconds as a person says them: `45 s`, `5 min`, `2 h 30 min`. */
export function inWords(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.ceil(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  const rest = minutes % 60;
  return `${(minutes - rest) / 60} h${rest === 0 ? "" : ` ${rest} min`}`;
}
