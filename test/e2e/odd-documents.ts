import type { SeededRandom } from "@bunting/testkit";

/*
 * Documents that nobody would write and every schema allows: names of Object's own methods, keys that look like numbers,
 * texts in every script, percentages with three decimals, conditions on whatever there is.
 */

/** Pins, attributes and values are drawn from the same few texts, so that they meet. */
const TEXTS = [
  "u-1",
  "constructor",
  "toString",
  "__proto__",
  "007",
  "7",
  "-0",
  "true",
  "null",
  " ",
  "a\u0301",
  "\u00e1",
  "\u{1f426}\u{1f3f4}\u200d\u2620\ufe0f",
  "\u05e9\u05dc\u05d5\u05dd",
  "\u2028\u2029",
  "\ufeffbom",
  "I\u0307stanbul",
  "stra\u00dfe",
  "k".repeat(1_024),
  "1.2.3-rc.1+build",
  "10.0.0.7",
  "::ffff:10.0.0.7",
  "2026-02-28T23:59:60Z",
  "2026-01-01T00:00:00+14:00",
  "a~1b",
  "/",
] as const;
const NUMBERS = [0, -0, 1, 7, -1, 0.1, 1e21, 5e-324, 9_007_199_254_740_991, 1_767_225_600_000] as const;
const ATTRIBUTES = [
  "key",
  "plan",
  "toString",
  "__proto__",
  "/deep/list/1",
  "/deep/a~1b",
  "",
  "/",
  "länge",
  "7",
] as const;
const SHARES = [
  [0, 100],
  [0.001, 99.999],
  [33.333, 66.667],
  [99.999, 0.001],
  [12.345, 87.655],
] as const;

const VALUES_BY_OPERATOR: Readonly<Record<string, readonly unknown[]>> = {
  equals: [...TEXTS, ...NUMBERS, true, false],
  not_equals: [...TEXTS, ...NUMBERS, true, false],
  in: [...TEXTS, ...NUMBERS, true, false],
  not_in: [...TEXTS, ...NUMBERS, true, false],
  contains: TEXTS,
  starts_with: TEXTS,
  ends_with: TEXTS,
  matches: ["^(u|k)+", "(?i)STRASSE|straße", "\\p{Han}|\\p{Hebrew}", "^.$", "(a+)+$"],
  cidr: ["10.0.0.0/8", "::ffff:0:0/96", "0.0.0.0/0", "10.0.0.7"],
};
const ONE_VALUE: Readonly<Record<string, readonly unknown[]>> = {
  greater: NUMBERS,
  greater_or_equal: NUMBERS,
  less: NUMBERS,
  less_or_equal: NUMBERS,
  before: ["2026-01-01T00:00:00Z", 1_767_225_600_000],
  after: ["2026-01-01T00:00:00+14:00", 0],
  semver_equals: ["1.2.3-rc.1"],
  semver_greater: ["1.2.2", "1.0.0-alpha.10"],
  semver_less: ["1.2.3"],
  exists: [true, false],
};
const OPERATORS = [...Object.keys(VALUES_BY_OPERATOR), ...Object.keys(ONE_VALUE)];

/** Everything of this flag may be asked for by others; integer-like keys come first in every JavaScript object. */
const VARIANTS = ["on", "off", "7", "0", "hasOwnProperty"] as const;

const drawn = <Item>(random: SeededRandom, items: readonly Item[]): Item => items[random.below(items.length)] as Item;
const several = <Item>(random: SeededRandom, most: number, make: () => Item): Item[] =>
  Array.from({ length: random.below(most + 1) }, make);

export function oddFlag(random: SeededRandom, key: string): object {
  const type = random.pick(["boolean", "string", "number", "json"]);
  const value = (index: number): unknown => {
    if (type === "boolean") return index % 2 === 0;
    if (type === "string") return TEXTS[index + random.below(10)];
    if (type === "number") return NUMBERS[(index + random.below(10)) % NUMBERS.length];
    return { "7": index, "0": [null, -0, 1e21], toString: drawn(random, TEXTS), deep: { on: [[], {}] } };
  };
  return {
    key,
    type,
    variants: Object.fromEntries(VARIANTS.map((variant, index) => [variant, { value: value(index) }])),
    metadata: { toString: "m", "7": 7, länge: true },
  };
}

interface Around {
  readonly flagKeys: readonly string[];
  readonly segmentKeys: readonly string[];
  readonly self: string;
}

export function oddConfiguration(random: SeededRandom, { flagKeys, segmentKeys, self }: Around) {
  const pinned = [...new Set(several(random, 6, () => drawn(random, TEXTS)))];
  const pins = new Map<string, string[]>();
  for (const text of pinned) {
    const variant = drawn(random, VARIANTS);
    pins.set(variant, [...(pins.get(variant) ?? []), text]);
  }
  // Mostly of flags before this one, so that few make a cycle; some do, and are refused.
  const before = flagKeys.slice(0, Math.max(1, flagKeys.indexOf(self) + (random.below(20) === 0 ? 2 : 0)));
  const prerequisites = several(random, 2, () => ({
    flag: drawn(random, before),
    variants: [...new Set([drawn(random, VARIANTS), drawn(random, VARIANTS), "on"])],
  })).filter(({ flag }) => flag !== self);
  return {
    enabled: random.below(8) > 0,
    offVariant: drawn(random, VARIANTS),
    bucketBy: [...new Set([drawn(random, ATTRIBUTES.filter(Boolean)), "key"])],
    pins: Object.fromEntries(pins),
    prerequisites: [...new Map(prerequisites.map((each) => [each.flag, each])).values()],
    rules: several(random, 5, () => 0).map((_, index) => ({
      id: index === 0 ? "valueOf" : `rule-${index}`,
      when: several(random, 3, () =>
        random.below(6) === 0 ? { segment: drawn(random, segmentKeys) } : oddCondition(random),
      ),
      serve: oddServe(random),
    })),
    fallthrough: oddServe(random),
  };
}

export function oddSegment(random: SeededRandom): object {
  return { when: [oddCondition(random), ...several(random, 1, () => oddCondition(random))] };
}

function oddServe(random: SeededRandom): object {
  if (random.below(4) === 0) return { variant: drawn(random, VARIANTS) };
  const [first, second] = drawn(random, SHARES);
  const variants = [...VARIANTS].sort(() => random.next() - 0.5);
  return { split: { [variants[0] as string]: first, [variants[1] as string]: second, [variants[2] as string]: 0 } };
}

function oddCondition(random: SeededRandom): object {
  const op = drawn(random, OPERATORS);
  const attribute = drawn(random, ATTRIBUTES.filter(Boolean));
  const one = ONE_VALUE[op];
  if (one) return { attribute, op, values: [drawn(random, one)] };
  const most = random.below(15) === 0 ? 2_000 : 6;
  const values = [
    drawn(random, VALUES_BY_OPERATOR[op] ?? []),
    ...several(random, most, () => drawn(random, VALUES_BY_OPERATOR[op] ?? [])),
  ];
  return { attribute, op, values: op === "matches" || op === "cidr" ? values.slice(0, 5) : values };
}

export function oddContext(random: SeededRandom): Record<string, unknown> {
  const scalar = (): unknown => drawn(random, [...TEXTS, ...NUMBERS, true, false, null]);
  const context: Record<string, unknown> = {};
  for (const attribute of ["key", "plan", "toString", "länge", "7", "", "/"]) {
    const kind = random.below(6);
    if (kind === 0) continue;
    context[attribute] = kind === 1 ? several(random, 4, scalar) : scalar();
  }
  if (random.below(2) === 0) context["deep"] = { list: [scalar(), scalar()], "a/b": scalar() };
  if (random.below(3) > 0) context["key"] = drawn(random, TEXTS);
  return context;
}
