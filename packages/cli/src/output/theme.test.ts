import { describe, expect, it } from "vitest";
import { COLOURFUL, PLAIN } from "../test-world.ts";
import { wantsColours } from "./theme.ts";

describe("colours", () => {
  it.each([
    ["on a terminal", { isTerminal: true }, true],
    ["not into a pipe", {}, false],
    ["not with --no-color", { isTerminal: true, colour: false }, false],
    ["not with NO_COLOR", { isTerminal: true, env: { NO_COLOR: "1" } }, false],
    ["with an empty NO_COLOR, which does not count", { isTerminal: true, env: { NO_COLOR: "" } }, true],
    ["not on a dumb terminal", { isTerminal: true, env: { TERM: "dumb" } }, false],
    ["into a pipe with FORCE_COLOR", { env: { FORCE_COLOR: "1" } }, true],
    ["not with FORCE_COLOR=0", { isTerminal: true, env: { FORCE_COLOR: "0" } }, false],
    ["not with FORCE_COLOR and NO_COLOR", { env: { FORCE_COLOR: "1", NO_COLOR: "1" } }, false],
  ])("%s", (_, wish, wanted) => {
    expect(wantsColours({ colour: true, isTerminal: false, env: {}, ...wish })).toBe(wanted);
  });

  it("are escape sequences where they are wanted, and nothing where they are not", () => {
    expect(COLOURFUL.paint("bad", "x")).toBe("\u001b[31mx\u001b[39m");
    expect(PLAIN.paint("bad", "x")).toBe("x");
  });
});
