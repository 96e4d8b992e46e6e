import { describe, expect, it } from "vitest";
import { readSettings } from "./settings.ts";

describe("settings", () => {
  it("are the scenario as it is written, by default", () => {
    const settings = readSettings([]);
    expect(settings).toMatchObject({ pace: 1, fault: "exception", gate: false });
    expect(settings.v2.pathname).toMatch(/logic\/v2\.ts$/);
  });

  it("shorten the phases and choose the fault", () => {
    const settings = readSettings(["--pace", "0.05", "--fault", "stall", "--gate", "--v2", "/srv/v2.js"]);
    expect(settings).toMatchObject({ pace: 0.05, fault: "stall", gate: true });
    expect(settings.v2.href).toBe("file:///srv/v2.js");
  });

  it.each([
    [["--pace", "0"], "--pace is a number above 0"],
    [["--pace", "soon"], "not soon"],
    [["--fault", "fire"], "one of exception, stall, corruption"],
    [["--limit", "9"], "Unknown option"],
  ])("refuse %j", (args, message) => {
    expect(() => readSettings(args)).toThrow(message);
  });
});
