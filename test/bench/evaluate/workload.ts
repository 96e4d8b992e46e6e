import { createHash } from "node:crypto";
import { type Ruleset, ruleset as rulesetSchema } from "@bunting/contracts";
import { BUCKETING_ALGORITHM } from "@bunting/contracts/literals";
import { checksumInput, rulesetChecksum } from "@bunting/engine";

/*
 * The work every library does: 100 flags of four kinds, and 10,000 users. A subject writes the same flags in its own words.
 */

export interface User {
  /** 24 characters, like an id of a document database. */
  readonly key: string;
  readonly country: string;
}

export type Kind = "rollout" | "rule" | "variants" | "off";

/** Whoever is in one of these is in the rule of every "rule" flag. */
export const HOME: readonly string[] = ["FR", "DE", "IT"];
/** Every country is as frequent as any other: 3 of 20 are 15 %. */
const COUNTRIES: readonly string[] = [...HOME, ..."AT BE BG CY CZ DK EE ES FI GR HU IE LT LU LV MT NL".split(" ")];

/** Through JSON, as an application gets them: a piece cut from another string is a string of a slower kind. */
export const USERS = throughJson<readonly User[]>(
  Array.from({ length: 10_000 }, (_, index) => ({
    key: createHash("sha256").update(`user ${index}`).digest("hex").slice(0, 24),
    country: COUNTRIES[index % COUNTRIES.length] ?? "FR",
  })),
);

/** 25 flags of each kind, in an order that mixes them. */
export const FLAGS: readonly { readonly key: string; readonly kind: Kind }[] = Array.from({ length: 25 }, (_, index) =>
  (["rollout", "rule", "variants", "off"] as const).map((kind) => ({ key: `${kind}-${index}`, kind })),
).flat();

export const ROLLOUT_PERCENT = 25;
export const VARIANTS = [
  { name: "a", percent: 20 },
  { name: "b", percent: 30 },
  { name: "c", percent: 50 },
] as const;

/** What is measured: how many of the users get `variant` (true: get the flag at all) of each of these flags. */
export interface Scenario {
  readonly name: string;
  readonly flags: readonly string[];
  readonly variant: string | true;
  /** Shares of the users that an honest library serves, by variant. */
  readonly shares: readonly { readonly variant: string | true; readonly share: number }[];
}

const only = (share: number): Scenario["shares"] => [{ variant: true, share }];

export const SCENARIOS: readonly Scenario[] = [
  { name: "25 % rollout", flags: ["rollout-7"], variant: true, shares: only(0.25) },
  { name: "rule + 25 %", flags: ["rule-7"], variant: true, shares: only(0.15 + 0.85 * 0.25) },
  {
    name: "3 variants",
    flags: ["variants-7"],
    variant: "b",
    shares: VARIANTS.map(({ name, percent }) => ({ variant: name, share: percent / 100 })),
  },
  { name: "off", flags: ["off-7"], variant: true, shares: only(0) },
  {
    name: "25 flags a user",
    flags: FLAGS.filter(({ kind }) => kind === "rollout").map(({ key }) => key),
    variant: true,
    shares: only(0.25),
  },
];

/** The flags in our own words: what a server compiles an environment to. */
export function ruleset(): Ruleset {
  const flags = FLAGS.map(({ key, kind }, index) => withChecksum({ ...base(key, index), ...settings(kind) }));
  const parts = { flags: Object.fromEntries(flags.map((flag) => [flag.key, flag])), segments: {} };
  return rulesetSchema.parse({
    epoch: "bench",
    revision: 1,
    checksum: rulesetChecksum(rulesetSchema.pick({ flags: true, segments: true }).parse(parts)),
    ...parts,
  });
}

function base(key: string, index: number) {
  return {
    key,
    type: "boolean",
    bucketing: BUCKETING_ALGORITHM,
    variants: { on: { value: true }, off: { value: false } } as Record<string, { value: unknown }>,
    enabled: true,
    killed: false,
    offVariant: "off",
    salt: Math.imul(index + 1, 0x9e3779b1) >>> 0,
    bucketBy: ["key"],
    pins: {},
    prerequisites: [],
    rules: [] as unknown[],
    fallthrough: {
      allocation: [
        ["on", 0, 25_000],
        ["off", 25_000, 100_000],
      ],
    } as unknown,
    metadata: {},
  };
}

function settings(kind: Kind): Partial<ReturnType<typeof base>> {
  if (kind === "off") return { enabled: false };
  if (kind === "rule") {
    const when = [{ attribute: "country", op: "in", values: HOME }];
    return { rules: [{ id: "home", when, serve: { variant: "on" } }] };
  }
  if (kind === "rollout") return {};
  return {
    type: "string",
    offVariant: "c",
    variants: { a: { value: "a" }, b: { value: "b" }, c: { value: "c" } },
    fallthrough: {
      allocation: [
        ["a", 0, 20_000],
        ["b", 20_000, 50_000],
        ["c", 50_000, 100_000],
      ],
    },
  };
}

const withChecksum = <Entry extends { key: string }>(entry: Entry): Entry & { checksum: string } => ({
  ...entry,
  checksum: createHash("sha256").update(checksumInput(entry)).digest("hex").slice(0, 12),
});

function throughJson<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value;
}
