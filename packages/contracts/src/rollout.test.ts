import { describe, expect, it } from "vitest";
import { LIMITS, WEEKDAYS } from "./literals.ts";
import { rolloutPlan } from "./rollout.ts";

describe("a plan, which every decision keeps", () => {
  const accepts = (fields: object): boolean =>
    rolloutPlan.safeParse({ canary: "on", control: "off", stages: [{ percent: 10 }], ...fields }).success;

  it.each([LIMITS.linksPerPlan, LIMITS.linksPerPlan + 1])("takes links up to their limit: %i", (count) => {
    const links = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`${index}`, "https://grafana.example.com"]),
    );
    expect(accepts({ links })).toBe(count <= LIMITS.linksPerPlan);
  });

  it.each([LIMITS.urlBytes, LIMITS.urlBytes + 1])("takes an address of a link up to its limit: %i", (length) => {
    expect(accepts({ links: { dashboard: "https://grafana.example.com/".padEnd(length, "x") } })).toBe(
      length <= LIMITS.urlBytes,
    );
  });

  it("takes as many days of a window as a week has", () => {
    const timezone = "Europe/Paris";
    expect(accepts({ windows: [{ timezone, days: WEEKDAYS }] })).toBe(true);
    expect(accepts({ windows: [{ timezone, days: [...WEEKDAYS, "mon"] }] })).toBe(false);
  });
});
