import type { Operation, Patch, Ruleset } from "@bunting/contracts";
import {
  addChecksums,
  applyKill,
  applyOperations,
  type CompiledRuleset,
  compileRuleset,
  EMPTY_CHECKSUM,
  rulesetChecksum,
  subtractChecksums,
} from "@bunting/engine";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  flagEntry,
  putFlag,
  putSegment,
  removeFlag,
  removeSegment,
  rulesetWith,
  segmentEntry,
  share,
} from "./entries.ts";

const FLAGS = ["a", "b", "c", "d", "e", "f"] as const;
const SEGMENTS = ["s", "t"] as const;

const anyFlag = fc
  .record({
    key: fc.constantFrom(...FLAGS),
    killed: fc.boolean(),
    salt: fc.integer({ min: 0, max: 3 }),
    asks: fc.option(fc.constantFrom(...FLAGS), { nil: undefined }),
    segment: fc.option(fc.constantFrom(...SEGMENTS, "nobody"), { nil: undefined }),
    buckets: fc.constantFrom(0, 30_000, 100_000),
  })
  .map(({ key, killed, salt, asks, segment, buckets }) =>
    flagEntry(key, {
      killed,
      salt,
      prerequisites: asks === undefined ? [] : [{ flag: asks, variants: ["on"] }],
      rules: segment === undefined ? [] : [{ id: "r", when: [{ segment }], serve: { variant: "on" } }],
      fallthrough: share(buckets),
    }),
  );
const anySegment = fc
  .record({
    key: fc.constantFrom(...SEGMENTS),
    op: fc.constantFrom("equals", "resembles"),
    value: fc.constantFrom("x", "y"),
  })
  .map(({ key, op, value }) => segmentEntry(key, [{ attribute: "a", op, values: [value] }]));
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: anyFlag.map(putFlag) },
  { weight: 2, arbitrary: anySegment.map(putSegment) },
  { weight: 1, arbitrary: fc.constantFrom(...FLAGS).map(removeFlag) },
  { weight: 1, arbitrary: fc.constantFrom(...SEGMENTS).map(removeSegment) },
);
const transactions = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 });

const empty: Ruleset = rulesetWith([], [], 0);
const subjects = ["u1", "u2", "u3", {}, ...["x", "y"].flatMap((a) => ["u1", "u2"].map((key) => ({ key, a })))];

describe("EV-70 checksums add up", () => {
  const checksum = fc.integer({ min: 0, max: 2 ** 48 - 1 }).map((value) => value.toString(16).padStart(12, "0"));

  it("in any order, and subtraction takes back what was added", () => {
    fc.assert(
      fc.property(checksum, checksum, checksum, (a, b, c) => {
        expect(addChecksums(addChecksums(a, b), c)).toBe(addChecksums(a, addChecksums(c, b)));
        expect(subtractChecksums(addChecksums(a, b), b)).toBe(a);
        expect(addChecksums(a, EMPTY_CHECKSUM)).toBe(a);
        expect(addChecksums(a, b)).toMatch(/^[0-9a-f]{12}$/);
      }),
    );
    expect(addChecksums("ffffffffffff", "000000000001")).toBe(EMPTY_CHECKSUM);
  });
});

describe("EV-71 a patch applies whole, at its own revision, or not at all", () => {
  it("gives a ruleset whose entries add up to the announced checksum", () => {
    fc.assert(
      fc.property(transactions, (log) => {
        for (const ruleset of history(log)) expect(rulesetChecksum(ruleset)).toBe(ruleset.checksum);
      }),
    );
  });

  it("names what is old, what is missing and what does not add up, and leaves the ruleset as it was", () => {
    const before = rulesetWith([flagEntry("a")], [], 5);
    const operations = [putFlag(flagEntry("a", { killed: true })), removeFlag("b")];
    const after = rulesetWith([flagEntry("a", { killed: true })], [], 6);
    const copy = structuredClone(before);
    const patch = { previous: 5, revision: 6, operations, checksum: after.checksum };
    expect(applyOperations(before, patch)).toEqual({ ok: true, ruleset: after });
    expect(applyOperations(before, { ...patch, previous: 4, revision: 5 })).toEqual({ ok: false, reason: "old" });
    expect(applyOperations(before, { ...patch, previous: 6, revision: 7 })).toEqual({ ok: false, reason: "gap" });
    expect(applyOperations(before, { ...patch, checksum: EMPTY_CHECKSUM })).toEqual({ ok: false, reason: "checksum" });
    expect(before).toEqual(copy);
  });

  it("keeps an entry called __proto__ an entry", () => {
    const hostile = flagEntry("__proto__");
    const applied = applyOperations(empty, {
      previous: 0,
      revision: 1,
      operations: [putFlag(hostile)],
      checksum: hostile.checksum,
    });
    if (!applied.ok) expect.fail(applied.reason);
    expect(Object.keys(applied.ruleset.flags)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(applied.ruleset.flags)).toBe(Object.prototype);
    expect(rulesetChecksum(applied.ruleset)).toBe(applied.ruleset.checksum);
  });
});

describe("EV-72 any delivery ends in the same ruleset as the log in order", () => {
  it("with repetitions, reordering and losses, and a snapshot after each gap", () => {
    const journey = transactions.chain((log) =>
      fc.record({
        log: fc.constant(log),
        deliveries: fc.array(fc.integer({ min: 0, max: log.length - 1 }), { maxLength: 60 }),
        snapshotAt: fc.array(fc.integer({ min: 0, max: log.length }), { minLength: 1, maxLength: 5 }),
      }),
    );
    fc.assert(
      fc.property(journey, ({ log, deliveries, snapshotAt }) => {
        const states = history(log);
        const patches = patchesOf(log, states);
        let held = empty;
        let snapshots = 0;
        // A server that answers a resync is at least where the gap was seen.
        const resync = (atLeast: number) => {
          snapshots += 1;
          const at = Math.max(atLeast, snapshotAt[snapshots % snapshotAt.length] ?? 0);
          if (at > held.revision) held = states[at] as Ruleset;
        };
        const deliver = (patch: Omit<Patch, "type">) => {
          const before = held;
          const applied = applyOperations(held, patch);
          if (applied.ok) held = applied.ruleset;
          else if (applied.reason === "gap") resync(patch.revision);
          else expect(applied.reason).toBe("old");
          expect(held.revision).toBeGreaterThanOrEqual(before.revision);
          expect(held).toEqual(states[held.revision]);
        };
        for (const index of deliveries) deliver(patches[index] as Omit<Patch, "type">);
        deliver(patches.at(-1) as Omit<Patch, "type">);
        expect(held).toEqual(states.at(-1));
      }),
      { numRuns: 300 },
    );
  });
});

describe("EV-73 a kill sets killed and the checksum and nothing else", () => {
  const killed = flagEntry("a", { salt: 9, killed: true });
  const before = rulesetWith([flagEntry("a", { salt: 9 }), flagEntry("b")], [segmentEntry("s", [])], 3);
  const after = rulesetWith([killed, flagEntry("b")], [segmentEntry("s", [])], 4);
  const kill = {
    previous: 3,
    revision: 4,
    flags: [{ key: killed.key, checksum: killed.checksum }],
    checksum: after.checksum,
  };

  it("on its flags", () => {
    expect(applyKill(before, kill)).toEqual({ ok: true, ruleset: after });
  });

  it("only where it fits", () => {
    expect(applyKill(after, kill)).toEqual({ ok: false, reason: "old" });
    expect(applyKill({ ...before, revision: 2 }, kill)).toEqual({ ok: false, reason: "gap" });
    expect(applyKill(rulesetWith([], [], 3), kill)).toEqual({ ok: false, reason: "checksum" });
    expect(applyKill(before, { ...kill, checksum: EMPTY_CHECKSUM })).toEqual({ ok: false, reason: "checksum" });
  });
});

describe("EV-74 compiling with the help of an earlier compilation gives the same decisions", () => {
  it("after every step of a random log", () => {
    fc.assert(
      fc.property(transactions, (log) => {
        let compiled: CompiledRuleset | undefined;
        for (const ruleset of history(log)) {
          compiled = compileRuleset(ruleset, compiled);
          expect(answers(compiled)).toEqual(answers(compileRuleset(ruleset)));
          expect(compiled.ruleset).toBe(ruleset);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("keeps what did not change, and what a change leads to is made anew", () => {
    const first = rulesetWith(
      [
        flagEntry("alone"),
        flagEntry("asked"),
        flagEntry("asks", { prerequisites: [{ flag: "asked", variants: ["on"] }] }),
        flagEntry("asks-again", { prerequisites: [{ flag: "asks", variants: ["on"] }] }),
        flagEntry("in-segment", { rules: [{ id: "r", when: [{ segment: "s" }], serve: { variant: "on" } }] }),
      ],
      [segmentEntry("s", []), segmentEntry("t", [])],
    );
    const compiled = compileRuleset(first);
    const changed = (ruleset: Ruleset) => {
      const next = compileRuleset(ruleset, compiled);
      return [...next.flags].filter(([key, flag]) => compiled.flags.get(key) !== flag).map(([key]) => key);
    };
    const put = (...flags: ReturnType<typeof flagEntry>[]) =>
      rulesetWith(
        [...Object.values(first.flags).filter(({ key }) => !flags.some((flag) => flag.key === key)), ...flags],
        Object.values(first.segments),
      );
    expect(changed(structuredClone(first))).toEqual([]);
    expect(changed(put(flagEntry("alone", { salt: 1 })))).toEqual(["alone"]);
    expect(changed(put(flagEntry("asked", { salt: 1 }))).sort()).toEqual(["asked", "asks", "asks-again"]);
    const segments = (when: Parameters<typeof segmentEntry>[1]) =>
      rulesetWith(Object.values(first.flags), [segmentEntry("s", when)]);
    expect(changed(segments([{ attribute: "a", op: "exists", values: [true] }]))).toEqual(["in-segment"]);
    expect(changed(segments([]))).toEqual([]);
    expect(changed(rulesetWith(Object.values(first.flags)))).toEqual(["in-segment"]);
  });
});

describe("EV-75 issues", () => {
  it("EV-6 list whatever cannot be judged, contradicts itself or asks for another algorithm, once per flag and rule", () => {
    const odd = { attribute: "a", op: "resembles", values: [1] };
    const { issues, flags } = compileRuleset(
      rulesetWith([
        flagEntry("fine"),
        flagEntry("odd", {
          rules: [
            { id: "r1", when: [odd, odd], serve: { variant: "on" } },
            { id: "r2", when: [{ segment: "nobody" }], serve: { variant: "on" } },
          ],
        }),
        flagEntry("future", { bucketing: 2, fallthrough: share(5) }),
        flagEntry("future-but-unsplit", { bucketing: 2 }),
        flagEntry("contradictory", { fallthrough: { variant: "maybe" } }),
        flagEntry("useless", { offVariant: "maybe" }),
      ]),
    );
    expect(issues.map(({ flag, rule }) => `${flag} ${rule ?? "itself"}`).sort()).toEqual([
      "contradictory itself",
      "future itself",
      "odd r1",
      "odd r2",
      "useless itself",
    ]);
    expect([...flags.keys()]).not.toContain("useless");
  });
});

/** The states of a log, from empty: the reference that patches are held to, made without `applyOperations`. */
function history(log: readonly Operation[][]): readonly Ruleset[] {
  const flags = new Map<string, ReturnType<typeof flagEntry>>();
  const segments = new Map<string, ReturnType<typeof segmentEntry>>();
  const states = log.map((operations, index) => {
    for (const step of operations) {
      if (step.op === "remove") (step.kind === "flag" ? flags : segments).delete(step.key);
      else if (step.kind === "flag") flags.set(step.key, step.value);
      else segments.set(step.key, step.value);
    }
    return rulesetWith([...flags.values()], [...segments.values()], index + 1);
  });
  return [empty, ...states];
}

function patchesOf(log: readonly Operation[][], states: readonly Ruleset[]): readonly Omit<Patch, "type">[] {
  return log.map((operations, index) => ({
    previous: index,
    revision: index + 1,
    operations,
    checksum: states[index + 1]?.checksum ?? "",
  }));
}

function answers({ flags, issues }: CompiledRuleset): unknown {
  return {
    flags: [...flags.keys()].sort().map((key) => {
      const flag = flags.get(key);
      return [key, flag?.entry, subjects.map((subject) => flag?.describe(flag.decide(subject)))];
    }),
    issues: issues.map((issue) => JSON.stringify(issue)).sort(),
  };
}
