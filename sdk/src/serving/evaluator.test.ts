import { booleanFlag, createOrigin, createSdkWorld, withChecksum } from "@bunting/testkit";
import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { FlagsOptions } from "../options.ts";
import type { Flags } from "../types.ts";

const rules = [
  { id: "country", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: { variant: "on" } },
  { id: "city", when: [{ attribute: "/address/city", op: "starts_with", values: ["P"] }], serve: { variant: "off" } },
  {
    id: "version",
    when: [{ attribute: "version", op: "semver_greater", values: ["1.2.3"] }],
    serve: { variant: "off" },
  },
  { id: "pattern", when: [{ attribute: "email", op: "matches", values: ["^(a+)+$"] }], serve: { variant: "off" } },
];
const FLAGS = [
  booleanFlag("half", { percent: 50, entry: { rules, pins: { on: ["pinned"] } } }),
  withChecksum({
    ...booleanFlag("page-size"),
    type: "number",
    variants: { small: { value: 10 }, large: { value: 50 } },
    offVariant: "small",
    fallthrough: { variant: "large" },
  }),
  withChecksum({
    ...booleanFlag("theme"),
    type: "json",
    variants: { dark: { value: { color: "black", sizes: [1, 2] } }, none: { value: null } },
    offVariant: "none",
    fallthrough: { variant: "dark" },
  }),
];

function flagsWith<Subject>(options: FlagsOptions<Subject> = {}): Flags<Subject> {
  const { platform, origin } = createSdkWorld(1, createOrigin(FLAGS));
  return createFlagsOn<Subject>(platform, { bootstrap: origin.ruleset, ...options });
}

const flags = flagsWith();

describe("what the four ways to ask answer", () => {
  it("isEnabled is a boolean flag's value, else whether the variant is not the off variant", () => {
    expect(flags.isEnabled("half", { key: "u", country: "FR" })).toBe(true);
    expect(flags.isEnabled("page-size", "u")).toBe(true);
    expect(flags.isEnabled("unknown", "u")).toBe(false);
  });

  it("variant is its key, null for an unknown flag", () => {
    expect(flags.variant("page-size", "u")).toBe("large");
    expect(flags.variant("unknown", "u")).toBeNull();
  });

  it("evaluate is the whole decision", () => {
    expect(flags.evaluate("half", "pinned")).toEqual({
      value: true,
      variant: "on",
      reason: "TARGETING_MATCH",
      detail: "pin",
      revision: 1,
      ageMs: null,
    });
    expect(flags.evaluate("unknown", "u")).toMatchObject({
      value: null,
      variant: null,
      reason: "ERROR",
      detail: "flag_not_found",
      errorCode: "FLAG_NOT_FOUND",
    });
    expect(flags.evaluate("half")).toMatchObject({ variant: "off", errorCode: "TARGETING_KEY_MISSING" });
  });

  it("says not_ready where there is no ruleset at all", () => {
    const empty = createFlagsOn(createSdkWorld().platform, {});
    expect(empty.evaluate("half", "u")).toMatchObject({
      detail: "not_ready",
      errorCode: "PROVIDER_NOT_READY",
      revision: null,
    });
  });
});

describe("LC-51 value is of the default's type", () => {
  it.each([
    ["page-size", 20, 50],
    ["page-size", "20", "20"],
    ["page-size", true, true],
    ["page-size", null, 50],
    ["unknown", 20, 20],
    ["half", "x", "x"],
    ["theme", {}, { color: "black", sizes: [1, 2] }],
    ["theme", [], []],
  ] as const)("%s with default %j is %j", (key, fallback, expected) => {
    expect(flags.value(key, { key: "u", country: "FR" }, fallback)).toEqual(expected);
  });

  it("is typed by it", () => {
    expectTypeOf(flags.value("page-size", "u", 20)).toEqualTypeOf<number>();
    expectTypeOf(flags.value("page-size", "u", "a")).toEqualTypeOf<string>();
    expectTypeOf(flags.value("page-size", "u", false)).toEqualTypeOf<boolean>();
  });

  it("cannot be changed by whoever got it", () => {
    const theme = flags.value("theme", "u", {}) as { color: string; sizes: number[] };
    expect(() => {
      theme.color = "white";
    }).toThrow(TypeError);
    expect(() => theme.sizes.push(3)).toThrow(TypeError);
    expect(flags.value("theme", "u", {})).toEqual({ color: "black", sizes: [1, 2] });
  });

  it("is counted only where it was served", () => {
    const counted = flagsWith();
    counted.value("page-size", "u", "of another type");
    expect(counted.status().counters.pending).toBe(0);
    counted.value("page-size", "u", 1);
    expect(counted.status().counters.pending).toBe(1);
  });
});

describe("LC-50 an evaluation never throws, whatever the context holds", () => {
  const cyclic: Record<string, unknown> = { key: "u" };
  cyclic.self = cyclic;
  cyclic.address = cyclic;
  const throwing = {
    get key(): string {
      throw new Error("no key");
    },
    get country(): string {
      throw new Error("no country");
    },
  };
  const { proxy: revoked, revoke } = Proxy.revocable({ key: "u" }, {});
  revoke();
  const mean = new Proxy(
    {},
    {
      get: () => {
        throw new Error("get");
      },
      has: () => {
        throw new Error("has");
      },
      getOwnPropertyDescriptor: () => {
        throw new Error("descriptor");
      },
    },
  );
  const subjects: [string, unknown][] = [
    ["nobody", undefined],
    ["null", null],
    ["a number", 42],
    ["a symbol", Symbol("u")],
    ["a bigint", 10n],
    ["a function", () => "u"],
    ["an empty text", ""],
    ["a lone surrogate", "\ud800"],
    ["a text of 10 MB", "x".repeat(10_000_000)],
    ["a cycle", cyclic],
    ["getters that throw", throwing],
    ["a revoked proxy", revoked],
    ["a proxy that throws", mean],
    ["no prototype", Object.assign(Object.create(null), { key: "u", country: "FR" })],
    ["prototype keys", JSON.parse('{"key":"u","__proto__":{"country":"FR"},"constructor":{"prototype":{}}}')],
    ["a symbol as attribute", { key: "u", country: Symbol("FR"), version: 1n, email: new Date(Number.NaN) }],
    ["a megabyte for a pattern", { key: "u", email: `${"a".repeat(1_000_000)}!` }],
    ["an object as key", { key: { toString: () => "u" } }],
    ["an array", ["u"]],
    ["a date", new Date()],
  ];

  it.each(subjects)("%s", (_name, subject) => {
    for (const key of ["half", "page-size", "unknown", "__proto__", "constructor", ""]) {
      expect(typeof flags.isEnabled(key, subject as never)).toBe("boolean");
      flags.variant(key, subject as never);
      expect(flags.value(key, subject as never, "fallback")).toEqual(expect.any(String));
      expect(flags.evaluate(key, subject as never).reason).toEqual(expect.any(String));
    }
  });

  it("anything at all", () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withNullPrototype: true, withDate: true, withMap: true }),
        (subject) => {
          expect(typeof flags.isEnabled("half", subject as never)).toBe("boolean");
          expect(flags.evaluate("half", subject as never).variant).toEqual(expect.any(String));
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("is nobody where identify throws, and whom identify says otherwise", () => {
    interface Account {
      readonly id: string;
    }
    const mapped = flagsWith<Account>({
      identify: ({ id }) => {
        if (id === "bad") throw new Error("no such account");
        return { key: id, country: "FR" };
      },
    });
    expect(mapped.evaluate("half", { id: "u" }).detail).toBe("rule:country");
    expect(mapped.evaluate("half", { id: "bad" }).errorCode).toBe("TARGETING_KEY_MISSING");
  });
});
