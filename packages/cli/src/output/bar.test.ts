import { describe, expect, it } from "vitest";
import { COLOURFUL, PLAIN, sampleConfiguration } from "../test-world.ts";
import { bar, cellsOf, legend, sharesOf } from "./bar.ts";

const shares = (fallthrough: object, offVariant = "off") =>
  sharesOf(sampleConfiguration({ fallthrough, offVariant }).fallthrough, ["on", "off"], offVariant);

describe("the cells of a bar", () => {
  it.each([
    [[25, 75], 20, [5, 15]],
    [[100, 0], 20, [20, 0]],
    [[0.001, 99.999], 20, [1, 19]],
    [[33.333, 33.333, 33.334], 10, [3, 3, 4]],
    [[98, 1, 1], 10, [8, 1, 1]],
    [[0, 0], 10, [0, 0]],
  ])("%j over %i", (percents, width, cells) => expect(cellsOf(percents, width)).toEqual(cells));

  it("always fill the width, and show whoever has anything", () => {
    for (let on = 0; on <= 100_000; on += 37) {
      const [left = 0, right = 0] = cellsOf([on / 1000, 100 - on / 1000], 20);
      expect(left + right).toBe(20);
      expect([left > 0, right > 0]).toEqual([on > 0, on < 100_000]);
    }
  });
});

describe("a bar", () => {
  it("tells variants apart without colours, the off variant always faint", () => {
    expect(bar(shares({ split: { on: 25, off: 75 } }), 20, PLAIN)).toBe("█████░░░░░░░░░░░░░░░");
    expect(bar(shares({ variant: "off" }), 4, PLAIN)).toBe("░░░░");
    const three = sharesOf(
      sampleConfiguration({ fallthrough: { split: { a: 50, b: 25, c: 25 } } }).fallthrough,
      ["a", "b", "c"],
      "c",
    );
    expect(bar(three, 8, PLAIN)).toBe("████▓▓░░");
  });

  it("keeps a variant's colour when percentages move", () => {
    const green = "\u001b[32m";
    expect(bar(shares({ split: { on: 1, off: 99 } }), 10, COLOURFUL)).toContain(`${green}█`);
    expect(bar(shares({ variant: "on" }), 10, COLOURFUL)).toContain(`${green}██████████`);
  });

  it("has a legend of those that are served", () => {
    expect(legend(shares({ split: { on: 0.125, off: 99.875 } }), PLAIN)).toBe("on 0.125 %  off 99.875 %");
    expect(legend(shares({ variant: "on" }), PLAIN)).toBe("on 100 %");
  });

  it("shows variants that the definition has lost since", () => {
    const serve = sampleConfiguration({ fallthrough: { split: { gone: 10, off: 90 } } }).fallthrough;
    expect(legend(sharesOf(serve, ["on", "off"], "off"), PLAIN)).toBe("off 90 %  gone 10 %");
  });
});
