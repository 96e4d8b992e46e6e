import { describe, expect, it } from "vitest";
import { createTestFlags } from "./testing.ts";

class FakeResponse {
  readonly statusCode = 200;
  once(): void {}
  end<Body>(body: Body): Body {
    return body;
  }
}

describe("createTestFlags", () => {
  const flags = createTestFlags({
    "redis-readthrough": true,
    retired: false,
    checkout: "v2",
    banner: {
      variants: { big: { height: 200 }, none: { height: 0 } },
      fallthrough: { big: 25, none: 75 },
      pins: { big: ["qa"] },
      rules: [{ id: "fr", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: "big" }],
    },
  });

  it("answers what it was told, and like the real thing otherwise", async () => {
    expect(flags.isEnabled("redis-readthrough", "u")).toBe(true);
    expect(flags.isEnabled("retired", "u")).toBe(false);
    expect(flags.variant("checkout", "u")).toBe("v2");
    expect(flags.isEnabled("checkout", "u")).toBe(true);
    expect(flags.value("checkout", "u", "v1")).toBe("v2");
    expect(flags.evaluate("banner", "qa")).toMatchObject({ variant: "big", detail: "pin" });
    expect(flags.evaluate("banner", { key: "u", country: "FR" })).toMatchObject({
      detail: "rule:fr",
      value: { height: 200 },
    });
    const share = Array.from({ length: 4_000 }, (_, index) => flags.variant("banner", `u-${index}`));
    expect(share.filter((variant) => variant === "big").length / 4_000).toBeCloseTo(0.25, 1);
    expect(flags.evaluate("unknown", "u").errorCode).toBe("FLAG_NOT_FOUND");
    expect(await flags.ready()).toBe("live");
  });

  it("can be changed between two evaluations", () => {
    const changed: string[][] = [];
    const stop = flags.on("change", ({ keys }) => changed.push([...keys]));
    flags.set("redis-readthrough", false);
    expect(flags.isEnabled("redis-readthrough", "u")).toBe(false);
    flags.set("new", "v9");
    expect(flags.variant("new", "u")).toBe("v9");
    flags.remove("new");
    expect(flags.variant("new", "u")).toBeNull();
    stop();
    flags.set("redis-readthrough", true);
    expect(changed).toEqual([["redis-readthrough"], ["new"], ["new"]]);
  });

  it("runs branches, hands out exposures, and lists what was tracked", async () => {
    const fresh = createTestFlags({ checkout: "v2", redis: false });
    expect(fresh.run("checkout", "u", { v2: () => "new", v1: () => "old" })).toBe("new");
    expect(fresh.run("redis", "u", { on: () => "cache", off: () => "db" })).toBe("db");
    const exposure = fresh.expose("checkout", "u");
    expect(exposure).toMatchObject({ variant: "v2", value: "v2" });
    exposure.success();
    fresh.track("conversion", "u");
    fresh.track("revenue", "u", 12.5);
    fresh.gauge("queue_depth", 3);
    expect(fresh.reported).toEqual([
      { metric: "conversion", value: 1, user: "u" },
      { metric: "revenue", value: 12.5, user: "u" },
      { metric: "queue_depth", value: 3 },
    ]);
    const handled = fresh.outcomes()((request: { readonly user: string }, response: FakeResponse) =>
      response.end(fresh.isEnabled("checkout", request.user)),
    );
    expect(handled({ user: "u" }, new FakeResponse())).toBe(true);
  });

  it("refuses what no server would have", () => {
    expect(() => createTestFlags({ "not a key": true })).toThrow("is no flag key");
    expect(() => createTestFlags({ a: { variants: { on: true }, fallthrough: "off" } })).toThrow('no variant "off"');
    expect(() => createTestFlags({ a: { variants: { x: 1, y: 2 }, fallthrough: { x: 10, y: 80 } } })).toThrow(
      "add up to 100",
    );
  });

  it("ignores the environment of whoever runs the tests", () => {
    expect(createTestFlags({ path: true }).isEnabled("path", "u")).toBe(true);
  });
});
