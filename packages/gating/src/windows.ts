import type { WeeklyWindow } from "@bunting/contracts";
import { WEEKDAYS } from "@bunting/contracts/literals";
import { Temporal } from "temporal-polyfill";

/*
 * Release windows and freezes are times on a clock on the wall: "Tuesday, 14:00 to 17:00, in Paris". Whether one is open is
 * read off that clock, so a window keeps its hours when the zone's offset changes. An hour that the clock skips in spring is
 * in no window; one that it shows twice in autumn is in the window both times.
 */

/** When a rollout may start or go on: in one of the windows, in none of the freezes. No windows: always. */
export interface Calendar {
  readonly windows: readonly WeeklyWindow[];
  readonly freezes: readonly WeeklyWindow[];
}

export type Opening =
  | { readonly open: true }
  /** `next` is null if there is no opening within {@link HORIZON_DAYS}: a freeze covers every window. */
  | { readonly open: false; readonly next: OpeningTime | null };

export interface OpeningTime {
  readonly at: number;
  /** As the window's zone shows it, as in `Tue 2025-08-19 14:00 Europe/Paris`. */
  readonly label: string;
}

/** Five weeks: a weekly window that did not open in this time never does, not even if a change of the clock took its hour. */
const HORIZON_DAYS = 35;

export function isOpen({ windows, freezes }: Calendar, now: number): boolean {
  if (freezes.some((freeze) => includes(freeze, now))) return false;
  return windows.length === 0 || windows.some((window) => includes(window, now));
}

/** The first instant from `now` on that is open; null if there is none within {@link HORIZON_DAYS}. */
export function nextOpening(calendar: Calendar, now: number): OpeningTime | null {
  const zones = [...calendar.windows, ...calendar.freezes].map(({ timezone }) => timezone);
  const zone = calendar.windows[0]?.timezone ?? zones[0] ?? "UTC";
  if (isOpen(calendar, now)) return { at: now, label: inZone(now, zone) };
  let best: number | null = null;
  let lastDay = HORIZON_DAYS;
  for (let day = 0; day <= lastDay; day += 1) {
    const openings = edgesOfDay(calendar, now, day).filter((edge) => edge > now && isOpen(calendar, edge));
    if (openings.length === 0) continue;
    best = Math.min(best ?? Number.POSITIVE_INFINITY, ...openings);
    // Days of two zones overlap: the next day of one may begin before this day of the other ends.
    lastDay = Math.min(lastDay, day + 1);
  }
  if (best === null) return null;
  const at = best;
  const opened = calendar.windows.find((window) => includes(window, at));
  return { at, label: inZone(at, opened?.timezone ?? zone) };
}

export function openingOf(calendar: Calendar, now: number): Opening {
  return isOpen(calendar, now) ? { open: true } : { open: false, next: nextOpening(calendar, now) };
}

/** Why a window can never be read, in a sentence; null if it can. */
export function windowProblem({ timezone, from, to }: WeeklyWindow): string | null {
  if (from >= to) {
    return `A window ends after it begins: ${from} to ${to} does not. One over midnight is two: to 24:00, and from 00:00 of the next day.`;
  }
  // Temporal takes offsets too. Nobody's clock keeps one: the window would be an hour off for half of the year.
  if (/^[+-]/.test(timezone)) return `${timezone} is an offset and not an IANA time zone such as Europe/Paris.`;
  return isZone(timezone) ? null : `${timezone} is not an IANA time zone.`;
}

/** Whether this is a zone's name. Of a whole timestamp Temporal takes the zone or the offset that is in it. */
function isZone(timezone: string): boolean {
  try {
    const { timeZoneId } = Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timezone);
    return timeZoneId.toLowerCase() === timezone.toLowerCase();
  } catch {
    return false;
  }
}

function includes({ timezone, days, from, to }: WeeklyWindow, now: number): boolean {
  const local = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone);
  if (!days.some((day) => WEEKDAYS.indexOf(day) + 1 === local.dayOfWeek)) return false;
  const time = local.hour * 60 + local.minute;
  return minuteOfDay(from) <= time && time < minuteOfDay(to);
}

/** The instants of one local day at which something may open: windows begin, freezes end, the clock is changed. */
function edgesOfDay({ windows, freezes }: Calendar, now: number, day: number): readonly number[] {
  const starts = windows.map(({ timezone, from }) => ({ timezone, time: from }));
  const ends = freezes.map(({ timezone, to }) => ({ timezone, time: to }));
  return [...starts, ...ends].flatMap(({ timezone, time }) => {
    const date = Temporal.Instant.fromEpochMilliseconds(now)
      .toZonedDateTimeISO(timezone)
      .toPlainDate()
      .add({ days: day });
    const midnight = date.toZonedDateTime(timezone);
    const change = midnight.getTimeZoneTransition("next")?.epochMilliseconds;
    const local = date.toPlainDateTime().add({ minutes: minuteOfDay(time) });
    // A time that the clock shows twice opens at its first, or again at its second; one that it skips opens at the change.
    const edges = (["earlier", "later"] as const).map(
      (disambiguation) => local.toZonedDateTime(timezone, { disambiguation }).epochMilliseconds,
    );
    const tomorrow = date.add({ days: 1 }).toZonedDateTime(timezone).epochMilliseconds;
    return change === undefined || change > tomorrow ? edges : [...edges, change];
  });
}

function minuteOfDay(time: string): number {
  const [hours, minutes] = time.split(":").map(Number);
  return (hours ?? 0) * 60 + (minutes ?? 0);
}

const WEEKDAY_NAMES = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] as const;

function inZone(unixMs: number, timezone: string): string {
  const local = Temporal.Instant.fromEpochMilliseconds(unixMs).toZonedDateTimeISO(timezone);
  const time = local.toPlainTime().toString({ smallestUnit: "minute" });
  return `${WEEKDAY_NAMES[local.dayOfWeek - 1]} ${local.toPlainDate().toString()} ${time} ${timezone}`;
}
