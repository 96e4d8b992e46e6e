import { type CompiledFlag, compileRuleset, type Subject, variantIndexOf } from "@bunting/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flagEntry, rulesetWith, segmentEntry, share } from "./entries.ts";

const ATTRIBUTES = ["key", "a", "/a", "/a/b", "constructor", "__proto__"] as const;
const OPERATORS = {
  equals: ["x", 1, true],
  not_equals: ["x"],
  in: ["x", "y", 1, 2, 3, 4, 5, 6, true],
  not_in: ["x", 1],
  contains: ["x"],
  starts_with: ["x"],
  ends_with: ["x"],
  greater: [1],
  greater_or_equal: [1],
  less: [1],
  less_or_equal: [1],
  before: ["2026-01-01T00:00:00Z"],
  after: [1_000],
  semver_equals: ["1.0.0"],
  semver_greater: ["1.0.0"],
  semver_less: ["1.0.0"],
  matches: ["^(x+)+$"],
  cidr: ["10.0.0.0/8"],
  exists: [true],
  resembles: ["x"],
} as const;

/** A flag for each operator on each attribute, and flags that bucket by each attribute: they read a context everywhere. */
const readers = [
  ...Object.entries(OPERATORS).flatMap(([op, values]) =>
    ATTRIBUTES.map((attribute, index) =>
      flagEntry(`${op}-${index}`, {
        rules: [{ id: "r", when: [{ attribute, op, values }], serve: { variant: "on" } }],
        pins: { on: ["pinned"] },
        fallthrough: share(25_000),
      }),
    ),
  ),
  ...ATTRIBUTES.map((attribute, index) =>
    flagEntry(`by-${index}`, { bucketBy: [attribute], fallthrough: share(50_000) }),
  ),
  flagEntry("asks", { prerequisites: [{ flag: "equals-1", variants: ["on"] }], fallthrough: share(50_000) }),
  flagEntry("in-segment", { rules: [{ id: "s", when: [{ segment: "s" }], serve: { variant: "on" } }] }),
];
const segments = [segmentEntry("s", [{ attribute: "a", op: "equals", values: ["x"] }])];
const flags = [...compileRuleset(rulesetWith(readers, segments)).flags.values()];

describe("EV-7 no context makes an evaluation throw", () => {
  const fails = () => {
    throw new Error("not for you");
  };
  const cycle: Record<string, unknown> = { key: "u" };
  cycle["a"] = cycle;
  cycle["list"] = [cycle];
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const long = "x".repeat(10_000_000);
  const anyTrap = (): ProxyHandler<object> => new Proxy({}, { get: () => fails });
  const list = (length: unknown) =>
    new Proxy([] as unknown[], { get: (target, name) => (name === "length" ? length : Reflect.get(target, name)) });
  let asked = 0;
  const growing = new Proxy([] as unknown[], {
    get: (target, name) => {
      if (name !== "length") return Reflect.get(target, name);
      asked += 1;
      return asked % 2 === 1 ? 1 : 1e12;
    },
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a number", 7],
    ["a symbol", Symbol("u")],
    ["a big integer", 7n],
    ["a function", fails],
    ["a list", ["u"]],
    ["an empty text", ""],
    ["a text of 10 MB", long],
    ["attributes of 10 MB", { key: long, a: long, b: [long] }],
    ["symbols, functions and big integers", { key: Symbol("k"), a: 10n, b: fails }],
    ["not a number", { key: Number.NaN, a: Number.POSITIVE_INFINITY }],
    ["a cycle", cycle],
    ["no prototype", Object.assign(Object.create(null), { key: "u", a: "x" })],
    ["a polluted prototype", Object.create({ key: "u", a: "x" })],
    ["__proto__ as JSON has it", JSON.parse('{"__proto__": {"a": "x"}, "constructor": {"a": "x"}, "key": "u"}')],
    ["a sparse list", { key: "u", a: Array.from({ length: 2 }), b: Object.assign([], { length: 2 ** 32 - 1 }) }],
    ["a list of 2^32 - 1", { key: "u", a: Object.assign([], { length: 2 ** 32 - 1 }) }],
    ["a list that says it is endless", { key: "u", a: list(Number.POSITIVE_INFINITY) }],
    ["a list that has no length", { key: "u", a: list("many") }],
    ["a list of lists", { key: "u", a: [[["x"]]] }],
    ["a date", { key: "u", a: new Date(0) }],
    ["a map", { key: "u", a: new Map([["b", 1]]) }],
    ["texts as objects", { key: Object("u"), a: Object("x") }],
    ["a conversion that throws", { key: { toString: fails, valueOf: fails }, a: { toString: fails, toJSON: fails } }],
  ])("%s", (_, subject) => {
    for (const flag of flags) expectDecided(flag, subject as Subject);
  });

  it.each<[string, object]>([
    [
      "a getter that throws",
      {
        key: "u",
        get a() {
          return fails();
        },
      },
    ],
    ["a proxy that throws", new Proxy({}, anyTrap())],
    ["a list that throws", { key: "u", a: new Proxy([], anyTrap()) }],
    ["a revoked proxy", { key: "u", a: revoked.proxy }],
  ])("%s serves the off variant with INVALID_CONTEXT where it is read", (_, subject) => {
    const reading = flags.filter(({ key }) => key === "equals-1" || key === "asks");
    for (const flag of flags) expectDecided(flag, subject);
    for (const flag of reading) {
      expect(flag.describe(flag.decide(subject))).toEqual({
        variant: "off",
        value: false,
        reason: "ERROR",
        detail: "context",
        errorCode: "INVALID_CONTEXT",
      });
    }
  });

  it("a list that grows while it is read", () => {
    // It answers differently each time, so that two decisions need not agree; but none may count to 10^12.
    for (const flag of flags) expect(flag.decide({ key: "u", a: growing })).toBeGreaterThanOrEqual(0);
  });

  it("a flag that is decided before its context is read never notices", () => {
    const hostile = new Proxy({}, anyTrap());
    const early = compileRuleset(
      rulesetWith([
        flagEntry("killed", { killed: true }),
        flagEntry("disabled", { enabled: false }),
        flagEntry("static"),
      ]),
    );
    expect([...early.flags.values()].map((flag) => flag.describe(flag.decide(hostile)).reason)).toEqual([
      "DISABLED",
      "DISABLED",
      "STATIC",
    ]);
  });

  it("anything that fast-check can think of", () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      withUnicodeString: true,
    });
    const context = fc.oneof(anything, fc.record({ key: anything, a: anything, constructor: anything }));
    fc.assert(
      fc.property(context, (subject) => {
        for (const flag of flags) expectDecided(flag, subject as Subject);
      }),
    );
  });

  function expectDecided(flag: CompiledFlag, subject: Subject): void {
    const decision = flag.decide(subject);
    if (!Number.isInteger(decision) || flag.variants[variantIndexOf(decision)] === undefined) {
      expect.fail(`${flag.key} decided ${decision}`);
    }
    flag.describe(decision);
    const explained = flag.explain(subject);
    if (explained.decision !== decision) expect.fail(`${flag.key} is explained otherwise than decided`);
    if (explained.trace.at(-1)?.variant === undefined) expect.fail(`${flag.key} is explained without an end`);
  }
});

describe("EV-8 the same JSON context gives the same result", () => {
  const json = fc.jsonValue();
  const context = fc.dictionary(fc.constantFrom("key", "a", "b", "constructor", "x"), json);

  it("on every repetition, and after a journey as JSON", () => {
    fc.assert(
      fc.property(context, (subject) => {
        const copy = JSON.parse(JSON.stringify(subject)) as object;
        for (const flag of flags) {
          const decision = flag.decide(subject);
          expect(flag.decide(copy)).toBe(decision);
          expect(flag.decide(subject)).toBe(decision);
        }
      }),
    );
  });

  it("EV-10 for a text and for the context that has it as its key", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constant("pinned")), (key) => {
        for (const flag of flags) expect(flag.decide(key)).toBe(flag.decide({ key }));
      }),
    );
  });

  it("EV-10 for anything that is no context and for the context without attributes", () => {
    const { flags: byKey } = compileRuleset(
      rulesetWith(
        ["0", "/0", "length", "/length", "name"].map((attribute) =>
          flagEntry(`has-${attribute.replace("/", "pointer-")}`, {
            rules: [{ id: "r", when: [{ attribute, op: "exists", values: [true] }], serve: { variant: "on" } }],
          }),
        ),
      ),
    );
    for (const subject of [["u"], undefined, null, 7, true, function name() {}] as unknown[]) {
      for (const flag of [...flags, ...byKey.values()]) expect(flag.decide(subject as Subject)).toBe(flag.decide({}));
    }
  });

  it("EV-12 for what JSON cannot carry and for its absence", () => {
    for (const value of [undefined, null, fails, Symbol("s"), 1n, Number.NaN, Number.NEGATIVE_INFINITY]) {
      for (const flag of flags) expect(flag.decide({ key: "u", a: value })).toBe(flag.decide({ key: "u" }));
    }
    function fails(): never {
      throw new Error("called");
    }
  });
});

describe("EV-11 only own properties are read", () => {
  it("at every depth", () => {
    class User {
      get key(): string {
        return "pinned";
      }
      get a(): string {
        return "x";
      }
    }
    class Failing {
      get key(): string {
        throw new Error("called");
      }
    }
    for (const flag of flags) {
      expect(flag.decide(new User())).toBe(flag.decide({}));
      expect(flag.decide(new Failing())).toBe(flag.decide({}));
      expect(flag.decide(Object.assign(new Failing(), { a: "x" }))).toBe(flag.decide({ a: "x" }));
      expect(flag.decide(Object.create({ key: "pinned" }) as object)).toBe(flag.decide({}));
      expect(flag.decide(Object.assign(Object.create(null), { key: "u" }) as object)).toBe(flag.decide({ key: "u" }));
      expect(flag.decide({ key: "u", a: Object.create({ b: "x" }) as object })).toBe(flag.decide({ key: "u", a: {} }));
      const hollow = Object.setPrototypeOf(Object.assign([], { length: 1 }), { 0: "x" }) as unknown[];
      expect(flag.decide({ key: "u", a: hollow })).toBe(flag.decide({ key: "u", a: [null] }));
    }
  });

  it("even if somebody gave a key to every object", () => {
    const decided = flags.map((flag) => flag.decide({}));
    try {
      Object.defineProperty(Object.prototype, "key", { value: "pinned", configurable: true });
      expect(flags.map((flag) => flag.decide({}))).toEqual(decided);
    } finally {
      Reflect.deleteProperty(Object.prototype, "key");
    }
  });
});

describe("EV-14 a list of more than 10,000 elements is a missing attribute", () => {
  it("holds on either side of the limit", () => {
    const { flags: byKey } = compileRuleset(
      rulesetWith([
        flagEntry("in", {
          rules: [{ id: "r", when: [{ attribute: "a", op: "in", values: ["last"] }], serve: { variant: "on" } }],
        }),
        flagEntry("not", {
          rules: [{ id: "r", when: [{ attribute: "a", op: "not_in", values: ["no"] }], serve: { variant: "on" } }],
        }),
      ]),
    );
    const list = (length: number) => ({ a: [...Array.from({ length: length - 1 }, () => "x"), "last"] });
    const served = (flag: string, length: number) =>
      byKey.get(flag)?.describe(byKey.get(flag)?.decide(list(length)) ?? -1).variant;
    expect([served("in", 10_000), served("in", 10_001)]).toEqual(["on", "off"]);
    expect([served("not", 10_000), served("not", 10_001)]).toEqual(["on", "off"]);
  });
});

describe("EV-9 isEnabled", () => {
  it("is the value of a boolean flag, and on others whether another variant than off is served", () => {
    const { flags: byKey } = compileRuleset(
      rulesetWith([
        flagEntry("boolean", { variants: { on: { value: true }, off: { value: false } }, offVariant: "on" }),
        flagEntry("string", { type: "string", variants: { a: { value: "" }, b: { value: "b" } }, offVariant: "b" }),
      ]),
    );
    const truths = (key: string) => Object.fromEntries(byKey.get(key)?.variants.map((v) => [v.key, v.truth]) ?? []);
    expect(truths("boolean")).toEqual({ on: true, off: false });
    expect(truths("string")).toEqual({ a: true, b: false });
  });
});

describe("EV-1 EV-2 decisions that a caller takes itself", () => {
  const flag = compileRuleset(rulesetWith([flagEntry("f", { fallthrough: share(50_000) })])).flags.get("f");

  it("an override serves its variant with STATIC, and knows which variants there are", () => {
    expect(flag?.describe(flag.decisionFor("on") ?? -1)).toEqual({
      variant: "on",
      value: true,
      reason: "STATIC",
      detail: "override",
    });
    expect(flag?.decisionFor("maybe")).toBeUndefined();
  });

  it("a kill that overtakes serves the off variant with DISABLED", () => {
    expect(flag?.describe(flag.killedDecision)).toEqual({
      variant: "off",
      value: false,
      reason: "DISABLED",
      detail: "killed",
    });
  });

  it("a decision of another flag is a bug that is named", () => {
    expect(() => flag?.describe(2 ** 20 - 1)).toThrow(RangeError);
  });
});

describe("EV-56 the observed share is the configured one", () => {
  const KEYS = 1_000_000;
  /** Standard deviations of a binomial count: passed by chance once in 10^6 tests, and the keys never change. */
  const BOUND = 5;

  it.each([10, 100, 1_000, 5_000, 25_000, 33_333, 50_000, 75_000, 99_000, 99_990])(
    "for %i of 100,000 buckets",
    (buckets) => {
      const flag = compileRuleset(rulesetWith([flagEntry("f", { fallthrough: share(buckets) })])).flags.get("f");
      if (flag === undefined) expect.fail("no flag");
      let on = 0;
      for (let index = 0; index < KEYS; index += 1)
        if (flag.variants[variantIndexOf(flag.decide(`user-${index}`))]?.truth) on += 1;
      const rate = buckets / 100_000;
      const bound = BOUND * Math.sqrt(KEYS * rate * (1 - rate));
      expect(Math.abs(on - KEYS * rate)).toBeLessThan(bound);
    },
  );
});

describe("EV-57 two flags with the same salt and ranges serve the same users", () => {
  it("and with another salt they do not", () => {
    const { flags: byKey } = compileRuleset(
      rulesetWith([
        flagEntry("first", { fallthrough: share(50_000) }),
        flagEntry("cohort", { fallthrough: share(50_000) }),
        flagEntry("other", { fallthrough: share(50_000), salt: 1 }),
      ]),
    );
    const served = (key: string) =>
      Array.from({ length: 1000 }, (_, index) => variantIndexOf(byKey.get(key)?.decide(`u-${index}`) ?? -1));
    expect(served("cohort")).toEqual(served("first"));
    expect(served("other")).not.toEqual(served("first"));
  });
});
