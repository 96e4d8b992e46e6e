import type { WeeklyWindow } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instantText, toUnixMs } from "./instant.ts";
import { isOpen, nextOpening, openingOf, windowProblem } from "./windows.ts";

const window = (days: WeeklyWindow["days"], from: string, to: string, timezone = "Europe/Paris"): WeeklyWindow => ({
  timezone,
  days,
  from,
  to,
});
const at = (instant: string): number => toUnixMs(instant);
const afternoons = { windows: [window(["tue", "wed", "thu"], "14:00", "17:00")], freezes: [] };

describe("GA-120 a window is read off the clock of its zone", () => {
  it.each([
    ["2025-08-19T11:59:59.999Z", false],
    ["2025-08-19T12:00:00Z", true],
    ["2025-08-19T14:59:59.999Z", true],
    ["2025-08-19T15:00:00Z", false],
    // The same hours in winter, when Paris is one hour from UTC.
    ["2025-12-02T12:59:59Z", false],
    ["2025-12-02T13:00:00Z", true],
    ["2025-12-02T16:00:00Z", false],
    // Monday, Friday, Saturday and Sunday.
    ["2025-08-18T13:00:00Z", false],
    ["2025-08-22T13:00:00Z", false],
    ["2025-08-23T13:00:00Z", false],
    ["2025-08-24T13:00:00Z", false],
  ])("at %s it is open: %s", (instant, open) => {
    expect(isOpen(afternoons, at(instant))).toBe(open);
  });

  it("counts the day where the window is, not where the server is", () => {
    const early = { windows: [window(["wed"], "00:00", "02:00", "Asia/Tokyo")], freezes: [] };
    expect(isOpen(early, at("2025-08-19T15:30:00Z"))).toBe(true);
    expect(isOpen(early, at("2025-08-20T00:30:00Z"))).toBe(false);
  });

  it("is open to the end of the day with 24:00", () => {
    const evening = { windows: [window(["tue"], "22:00", "24:00")], freezes: [] };
    expect(isOpen(evening, at("2025-08-19T21:59:59.999Z"))).toBe(true);
    expect(isOpen(evening, at("2025-08-19T22:00:00Z"))).toBe(false);
  });
});

describe("GA-121 a refusal names the next opening", () => {
  it("sends the start planned for Saturday 2025-08-16 to Tuesday 14:00 in Paris", () => {
    expect(openingOf(afternoons, at("2025-08-16T08:00:00Z"))).toEqual({
      open: false,
      next: { at: at("2025-08-19T12:00:00Z"), label: "Tue 2025-08-19 14:00 Europe/Paris" },
    });
  });

  it("is now, while open", () => {
    expect(nextOpening(afternoons, at("2025-08-19T13:37:00Z"))?.at).toBe(at("2025-08-19T13:37:00Z"));
  });

  it("takes the earliest of windows in several zones", () => {
    const calendar = {
      windows: [
        window(["tue"], "09:00", "10:00", "America/Los_Angeles"),
        window(["tue"], "09:00", "10:00", "Pacific/Auckland"),
      ],
      freezes: [],
    };
    expect(nextOpening(calendar, at("2025-08-16T00:00:00Z"))).toEqual({
      at: at("2025-08-18T21:00:00Z"),
      label: "Tue 2025-08-19 09:00 Pacific/Auckland",
    });
  });

  it("property: is open itself, and nothing between now and it is", () => {
    const zone = fc.constantFrom(
      "Europe/Paris",
      "America/New_York",
      "Australia/Lord_Howe",
      "Asia/Kolkata",
      "Africa/Cairo",
    );
    const days = fc.subarray<WeeklyWindow["days"][number]>(["mon", "tue", "wed", "thu", "fri", "sat", "sun"], {
      minLength: 1,
    });
    const half = fc.integer({ min: 0, max: 47 });
    const time = (slot: number): string => `${String(slot >> 1).padStart(2, "0")}:${slot % 2 === 0 ? "00" : "30"}`;
    const weekly = fc.record({ zone, days, half, length: fc.integer({ min: 1, max: 12 }) }).map((chosen) => {
      const to = Math.min(48, chosen.half + chosen.length);
      return window(chosen.days, time(chosen.half), time(to), chosen.zone);
    });
    // Around the changes of the clock in 2025: spring and autumn of both hemispheres.
    const around = fc
      .tuple(
        fc.constantFrom("2025-03-28T00:00:00Z", "2025-04-03T00:00:00Z", "2025-10-03T00:00:00Z", "2025-10-24T00:00:00Z"),
        fc.integer({ min: 0, max: 4 * 24 * 60 }),
      )
      .map(([from, minutes]) => at(from) + minutes * 60_000);
    fc.assert(
      fc.property(
        fc.array(weekly, { minLength: 1, maxLength: 3 }),
        fc.array(weekly, { maxLength: 2 }),
        around,
        (windows, freezes, now) => {
          const calendar = { windows, freezes };
          const next = nextOpening(calendar, now);
          if (next !== null) expect(isOpen(calendar, next.at)).toBe(true);
          // Half hours are the finest edge here, so a look at each finds every opening. Two days ahead keep the test short.
          const end = Math.min(next?.at ?? Number.POSITIVE_INFINITY, now + 2 * 24 * 3_600_000);
          for (let look = now; look < end; look = (Math.floor(look / 1_800_000) + 1) * 1_800_000) {
            expect({ look: instantText(look), open: isOpen(calendar, look) }).toMatchObject({ open: false });
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("GA-122 a freeze closes an open window", () => {
  const weekdays: WeeklyWindow["days"] = ["mon", "tue", "wed", "thu", "fri"];
  const calendar = {
    windows: [window(weekdays, "08:00", "20:00")],
    freezes: [window(["mon"], "00:00", "12:00"), window(["fri"], "16:00", "24:00")],
  };

  it("on Monday morning and Friday evening", () => {
    expect(isOpen(calendar, at("2025-08-18T07:00:00Z"))).toBe(false);
    expect(isOpen(calendar, at("2025-08-18T10:00:00Z"))).toBe(true);
    expect(isOpen(calendar, at("2025-08-22T13:59:00Z"))).toBe(true);
    expect(isOpen(calendar, at("2025-08-22T14:00:00Z"))).toBe(false);
  });

  it("and opens where it ends, if a window is open there", () => {
    expect(nextOpening(calendar, at("2025-08-22T15:00:00Z"))?.label).toBe("Mon 2025-08-25 12:00 Europe/Paris");
  });

  it("needs no window to be a freeze", () => {
    const frozen = { windows: [], freezes: [window(["sat", "sun"], "00:00", "24:00")] };
    expect(isOpen(frozen, at("2025-08-19T03:00:00Z"))).toBe(true);
    expect(nextOpening(frozen, at("2025-08-16T08:00:00Z"))?.label).toBe("Mon 2025-08-18 00:00 Europe/Paris");
  });

  it("may cover every window: then there is no opening", () => {
    const never = { windows: afternoons.windows, freezes: [window(["tue", "wed", "thu"], "00:00", "24:00")] };
    expect(openingOf(never, at("2025-08-16T08:00:00Z"))).toEqual({ open: false, next: null });
  });
});

describe("GA-123 an hour that the clock skips is in no window, one that it repeats is in it twice", () => {
  // Paris: 2025-03-30 02:00 becomes 03:00 (01:00 UTC); 2025-10-26 03:00 becomes 02:00 (01:00 UTC).
  it("skips a window within the gap by a week", () => {
    const night = { windows: [window(["sun"], "02:00", "03:00")], freezes: [] };
    expect(nextOpening(night, at("2025-03-29T12:00:00Z"))?.label).toBe("Sun 2025-04-06 02:00 Europe/Paris");
  });

  it("opens a window that begins in the gap when the gap ends", () => {
    const night = { windows: [window(["sun"], "02:30", "04:00")], freezes: [] };
    expect(nextOpening(night, at("2025-03-29T12:00:00Z"))).toEqual({
      at: at("2025-03-30T01:00:00Z"),
      label: "Sun 2025-03-30 03:00 Europe/Paris",
    });
  });

  it("opens twice in the repeated hour", () => {
    const night = { windows: [window(["sun"], "02:00", "02:30")], freezes: [] };
    expect(isOpen(night, at("2025-10-26T00:15:00Z"))).toBe(true);
    expect(isOpen(night, at("2025-10-26T00:45:00Z"))).toBe(false);
    expect(isOpen(night, at("2025-10-26T01:15:00Z"))).toBe(true);
    expect(nextOpening(night, at("2025-10-26T00:45:00Z"))?.at).toBe(at("2025-10-26T01:00:00Z"));
  });

  it("gives the afternoon the same hours on both sides of a change", () => {
    const openings = ["2025-10-23T18:00:00Z", "2025-10-30T18:00:00Z"].map(
      (now) => nextOpening(afternoons, at(now))?.label,
    );
    expect(openings).toEqual(["Tue 2025-10-28 14:00 Europe/Paris", "Tue 2025-11-04 14:00 Europe/Paris"]);
  });
});

describe("GA-124 a window ends after it begins, in a zone that exists", () => {
  it.each([
    [window(["fri"], "22:00", "02:00"), /two: to 24:00/],
    [window(["fri"], "14:00", "14:00"), /does not/],
    [window(["fri"], "14:00", "17:00", "Europe/Atlantis"), /Europe\/Atlantis is not an IANA time zone/],
    [window(["fri"], "14:00", "17:00", "+02:00"), /\+02:00 is an offset/],
    [window(["fri"], "14:00", "17:00", "2026-07-01T00:00+02:00"), /is not an IANA time zone/],
    [window(["fri"], "14:00", "17:00", "2026-07-01T00:00Z"), /is not an IANA time zone/],
    [window(["fri"], "14:00", "17:00", "2026-07-01T00:00+02:00[Europe/Paris]"), /is not an IANA time zone/],
  ])("refuses %o", (refused, sentence) => {
    expect(windowProblem(refused)).toMatch(sentence);
  });

  it.each([
    "Europe/Paris",
    "europe/paris",
    "Asia/Calcutta",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "America/Argentina/ComodRivadavia",
    "Etc/GMT+5",
    "EST",
    "GMT",
    "UTC",
    "Zulu",
  ])("takes %s", (timezone) => {
    expect(windowProblem(window(["tue"], "14:00", "24:00", timezone))).toBeNull();
  });

  it("has nothing to say about an ordinary one", () => {
    expect(windowProblem(window(["tue"], "14:00", "24:00"))).toBeNull();
  });
});
