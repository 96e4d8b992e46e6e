import { expect, it } from "vitest";
import { PLAIN } from "../test-world.ts";
import { changeInWords, timelineBar } from "./timeline.ts";

it("a course rises with the share, and ends where it ended", () => {
  const course = [
    { atSeconds: 0, percent: 1 },
    { atSeconds: 25, percent: 10 },
    { atSeconds: 50, percent: 100 },
    { atSeconds: 75, percent: 0, end: "rolled_back" as const },
  ];
  expect(timelineBar(course, { lengthSeconds: 100, width: 20 }, PLAIN)).toBe("▁▁▁▁▁▅▅▅▅▅█████····· ✗");
  expect(timelineBar(course.slice(0, 1), { lengthSeconds: 100, width: 4 }, PLAIN)).toBe("▁▁▁▁");
  expect(course.map(changeInWords)).toEqual([
    "after 0 s to 1 %",
    "after 25 s to 10 %",
    "after 50 s to 100 %",
    "after 1 min 15 s rolled back",
  ]);
});
