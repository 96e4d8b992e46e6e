import type { Ruleset, RulesetFlag } from "@bunting/contracts";
import { BUCKET_COUNT, BUCKETING_ALGORITHM } from "@bunting/contracts/literals";
import { allocate, rulesetChecksum, toSortedRanges } from "@bunting/engine";
import { createListeners } from "./events.ts";
import { EvidenceBook } from "./evidence/book.ts";
import type { RequestOutcome } from "./evidence/request-outcome.ts";
import { isKey } from "./guards.ts";
import { createOutcomes } from "./outcomes.ts";
import { createOverrides } from "./overrides.ts";
import type { Context } from "./ports.ts";
import { createReplica } from "./ruleset/replica.ts";
import { createEvaluator, type Serving } from "./serving/evaluator.ts";
import { createPlacer } from "./serving/placement.ts";
import { createReporter } from "./serving/reporter.ts";
import { buildTable, changedKeys, EMPTY_TABLE, type ServingTable } from "./serving/table.ts";
import { createSlots } from "./telemetry/slots.ts";
import type { Flags, FlagsStatus, Json, User } from "./types.ts";

/** What is served: a variant, or a distribution in percent that adds up to 100. */
export type TestServe = string | Readonly<Record<string, number>>;

/** A flag with rules, for tests that are about who gets what. */
export interface TestFlag {
  /** Values by variant, all of one type. */
  readonly variants: Readonly<Record<string, Json>>;
  /** @default the last variant */
  readonly offVariant?: string;
  /** For whoever no pin and no rule is for. */
  readonly fallthrough: TestServe;
  /** @default true */
  readonly enabled?: boolean;
  /** @default false */
  readonly killed?: boolean;
  /** Targeting keys by variant. */
  readonly pins?: Readonly<Record<string, readonly string[]>>;
  readonly rules?: readonly {
    readonly id: string;
    readonly when: readonly {
      readonly attribute: string;
      readonly op: string;
      readonly values: readonly (string | number | boolean)[];
    }[];
    readonly serve: TestServe;
  }[];
  readonly prerequisites?: readonly { readonly flag: string; readonly variants: readonly string[] }[];
}

/** `true` and `false`: a boolean flag that says so. A text: a flag that serves the variant of this name. */
export type TestFlagSetting = boolean | string | TestFlag;

export interface TestFlags<Subject = User> extends Flags<Subject> {
  /** Changes a flag, or adds it, between two evaluations; `change` listeners are called. */
  set(key: string, setting: TestFlagSetting): void;
  /** From now on the flag is unknown. */
  remove(key: string): void;
  /** What was reported by `track` and `gauge`, in order. */
  readonly reported: readonly ReportedMetric<Subject>[];
}

export interface ReportedMetric<Subject = User> {
  readonly metric: string;
  readonly value: number;
  /** Absent from a gauge. */
  readonly user?: Subject | undefined;
}

/**
 * Flags for tests: no server, no files, no environment variables, no timers, and the decisions of the real thing.
 *
 * @example
 * const flags = createTestFlags({ "redis-readthrough": true, checkout: "v2" });
 * flags.isEnabled("redis-readthrough", "u-1"); // true
 * flags.set("redis-readthrough", false);
 */
export function createTestFlags<Subject = User>(
  settings: Readonly<Record<string, TestFlagSetting>> = {},
  identify: ((user: Subject) => User) | null = null,
): TestFlags<Subject> {
  const entries = new Map<string, RulesetFlag>();
  let revision = 1;
  const put = (key: string, setting: TestFlagSetting): void => void entries.set(key, entryOf(key, setting, revision));
  for (const [key, setting] of Object.entries(settings)) put(key, setting);
  const rulesetNow = (): Ruleset => {
    const flags = Object.fromEntries(entries) as Ruleset["flags"];
    return { epoch: "test", revision, checksum: rulesetChecksum({ flags, segments: {} }), flags, segments: {} };
  };

  const slots = createSlots();
  // No flag here is in a rollout, so nothing is timed and nothing is due.
  const book = new EvidenceBook({
    clock: { now: () => 0, monotonic: () => 0 },
    scheduler: { after: () => () => {} },
    breakerChanged() {},
  });
  const overrides = createOverrides({ environment: {}, overrideEnv: new Map() });
  const listeners = createListeners((name, error) => {
    throw new Error(`A listener of "${name}" threw`, { cause: error });
  });
  const build = () =>
    buildTable(serving.table, {
      compiled: replica.compiled,
      revision: replica.ruleset.revision,
      overrides,
      slots,
      book,
    });
  const replica = createReplica({ ruleset: rulesetNow(), left: [] }, () => {
    const before = serving.table;
    serving.table = build();
    listeners.tell("change", { keys: changedKeys(before, serving.table), revision });
  });
  const serving: Serving & { table: ServingTable } = {
    table: EMPTY_TABLE,
    slots,
    freshness: () => ({ ageMs: 0, stale: false }),
  };
  serving.table = build();
  const reporter = createReporter(serving, book, identify);
  const reported: ReportedMetric<Subject>[] = [];
  const change = (step: () => void): void => {
    revision += 1;
    step();
    replica.install(rulesetNow());
  };
  return {
    ...createEvaluator(serving, identify),
    run: reporter.run,
    expose: reporter.expose,
    track: (metric, user, value = 1) => void reported.push({ metric, value, user }),
    gauge: (metric, value) => void reported.push({ metric, value }),
    reported,
    place: createPlacer(serving, identify),
    outcomes: (options = {}) => createOutcomes({ context: UNFOLLOWED, book, underWay: new WeakMap() }, options),
    ready: () => Promise.resolve("live"),
    on: (name, listener) => listeners.add(name, listener),
    status: () => statusOf(serving, slots.pending),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
    set: (key, setting) => change(() => put(key, setting)),
    remove: (key) => change(() => void entries.delete(key)),
  };
}

/** Requests run through the middleware as ever, and nobody asks which one it is. */
const UNFOLLOWED: Context<RequestOutcome> = { run: (_value, task) => task(), current: () => undefined };

function entryOf(key: string, setting: TestFlagSetting, revision: number): RulesetFlag {
  const valid: boolean = isKey(key);
  if (!valid) throw new TypeError(`Cannot create a test flag: "${key}" is no flag key`);
  const flag = typeof setting === "object" ? setting : simple(setting);
  const variants = Object.entries(flag.variants);
  const [first] = variants;
  if (first === undefined) throw new TypeError(`Cannot create test flag "${key}": it has no variants`);
  const names = variants.map(([name]) => name);
  const serve = (wanted: TestServe) => serveOf(key, wanted, names);
  const entry = {
    key,
    type: typeOf(first[1]),
    bucketing: BUCKETING_ALGORITHM,
    variants: Object.fromEntries(variants.map(([name, value]) => [name, { value }])),
    enabled: flag.enabled ?? true,
    killed: flag.killed ?? false,
    offVariant: flag.offVariant ?? names.at(-1),
    salt: saltOf(key),
    bucketBy: ["key"],
    pins: flag.pins ?? {},
    prerequisites: flag.prerequisites ?? [],
    rules: (flag.rules ?? []).map((rule) => ({ id: rule.id, when: rule.when, serve: serve(rule.serve) })),
    fallthrough: serve(flag.fallthrough),
    metadata: {},
    // Two settings of a flag must differ, nothing more: nobody here could hash.
    checksum: revision.toString(16).padStart(12, "0"),
  };
  return entry as unknown as RulesetFlag;
}

function simple(setting: boolean | string): TestFlag {
  if (typeof setting === "boolean") return { variants: { on: true, off: false }, fallthrough: setting ? "on" : "off" };
  // The off variant is another one, so that isEnabled is true for whatever the test asked for.
  return { variants: { [setting]: setting, [`not-${setting}`]: "" }, fallthrough: setting };
}

function serveOf(key: string, serve: TestServe, variants: readonly string[]): object {
  const named = typeof serve === "string" ? [serve] : Object.keys(serve);
  const stranger = named.find((name) => !variants.includes(name));
  if (stranger !== undefined) throw new TypeError(`Cannot create test flag "${key}": it has no variant "${stranger}"`);
  if (typeof serve === "string") return { variant: serve };
  const weights = variants
    .filter((name) => serve[name] !== undefined)
    .map((name) => [name, Math.round(((serve[name] ?? 0) / 100) * BUCKET_COUNT)] as const);
  if (weights.reduce((sum, [, buckets]) => sum + buckets, 0) !== BUCKET_COUNT) {
    throw new TypeError(`Cannot create test flag "${key}": the percentages of a split add up to 100`);
  }
  return { allocation: toSortedRanges(allocate(null, weights as unknown as Parameters<typeof allocate>[1])) };
}

function typeOf(value: Json): RulesetFlag["type"] {
  const type = typeof value;
  return type === "boolean" || type === "string" || type === "number" ? type : "json";
}

/** The same key gets the same users in every run; two keys get others. */
function saltOf(key: string): number {
  let salt = 0;
  for (let index = 0; index < key.length; index += 1) salt = (Math.imul(salt, 31) + key.charCodeAt(index)) >>> 0;
  return salt;
}

function statusOf({ table }: Serving, pending: number): FlagsStatus {
  return {
    state: "live",
    source: "live",
    transport: "none",
    since: 0,
    position: table.revision === null ? null : { epoch: "test", revision: table.revision },
    ageMs: 0,
    stale: false,
    lastError: null,
    overrides: [],
    breakers: [],
    issues: table.issues,
    counters: {
      resyncs: 0,
      malformed: 0,
      refused: 0,
      connections: 0,
      listenerErrors: 0,
      cacheErrors: 0,
      dropped: 0,
      pending,
      evidenceDropped: 0,
      evidencePending: 0,
      telemetryRestarts: 0,
    },
  };
}
