import type { VariantKey } from "@bunting/contracts";
import { EVIDENCE_GROUPS } from "@bunting/contracts/literals";
import { intervalsOf, judgeGuardrails, judgementInputs, judgeStatistics } from "@bunting/gating";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type {
  AttemptArms,
  AvailabilityRange,
  EvidencePageRange,
  EvidencePlace,
  EvidenceRow,
} from "../evidence/evidence.ts";
import { ROLLOUT } from "../rollouts/examples.ts";
import { planOf } from "../rollouts/rollout-fixture.ts";
import { AttemptMemory } from "./attempt-memory.ts";

const FIRST = 180_000_000;
const rollout = { ...ROLLOUT, plan: planOf({ decideBy: "evidence" }), stage: 1 } as unknown as ConstructorParameters<
  typeof AttemptMemory
>[0];

/** Rows in memory, and how many were asked for in one turn at most. */
class Rows {
  readonly all: EvidenceRow[] = [];
  mostAtOnce = 0;

  add(row: {
    readonly offset: number;
    readonly lateness: number;
    readonly stage: number;
    readonly errorCount: number;
  }) {
    const interval = FIRST + row.offset;
    for (const variant of ["on", "off"] as VariantKey[]) {
      const availableAt = interval + 2 + (variant === "on" ? row.lateness : 0);
      this.all.push({ ...rowOf(variant, interval, row), availableAt });
    }
  }

  readonly cells = (_: AttemptArms, { after = -1, through }: AvailabilityRange): readonly EvidenceRow[] => {
    const rows = this.all.filter(({ availableAt }) => after < availableAt && availableAt <= through).sort(byPlace);
    if (after >= 0) this.mostAtOnce = Math.max(this.mostAtOnce, rows.length);
    return rows;
  };

  readonly page = (arms: AttemptArms, { after, through, limit }: EvidencePageRange): readonly EvidenceRow[] => {
    const rest = this.cells(arms, { through }).filter((row) => after === null || byPlace(row, after) > 0);
    this.mostAtOnce = Math.max(this.mostAtOnce, Math.min(rest.length, limit));
    return rest.slice(0, limit);
  };
}

function byPlace(one: EvidencePlace, other: EvidencePlace): number {
  const byVariant = one.variant < other.variant ? -1 : one.variant > other.variant ? 1 : 0;
  return one.interval - other.interval || one.stage - other.stage || byVariant || one.availableAt - other.availableAt;
}

function rowOf(variant: VariantKey, interval: number, { stage, errorCount }: { stage: number; errorCount: number }) {
  const errors = variant === "on" ? errorCount : 1;
  const groups = Array.from({ length: EVIDENCE_GROUPS }, (_, group): [number, number, number, number, number] => {
    const failed = group < errors ? 1 : 0;
    return [group, 3, 3, failed, failed];
  });
  const count = 3 * EVIDENCE_GROUPS;
  const counts = { exposureCount: count, unitCount: count, outcomeCount: count, errorCount: errors };
  const place = { rollout: rollout.id, attempt: rollout.attempt, stage, variant, interval };
  return { ...place, ...counts, unitErrorCount: errors, uncheckedCount: 0, groups, sketch: [], ladder: [] };
}

const evidence = fc
  .array(
    fc.record({
      gap: fc.constantFrom(1, 1, 1, 3),
      lateness: fc.constantFrom(0, 0, 0, 0, 1, 4, 25),
      errorCount: fc.nat({ max: 4 }),
    }),
    { minLength: 5, maxLength: 60 },
  )
  .map((steps) => {
    let offset = 0;
    return steps.map(({ gap, ...rest }, index) => {
      offset += gap;
      return { ...rest, offset, stage: index > steps.length / 2 ? 1 : 0 };
    });
  });

describe("GA-178 statistics that are brought up to date in steps", () => {
  it("property: are those made in one go of the same rows, whatever comes late and wherever the clock jumps", () => {
    const looks = fc.array(fc.record({ pass: fc.integer({ min: 1, max: 12 }), isSetBack: fc.boolean() }), {
      minLength: 4,
    });
    fc.assert(
      fc.property(evidence, looks, (steps, passing) => {
        const rows = new Rows();
        for (const step of steps) rows.add(step);
        const memory = new AttemptMemory(rollout);
        let index = FIRST;
        for (const { pass, isSetBack } of passing) {
          index += pass;
          // The index never goes back, the clock may.
          let now = (index - (isSetBack ? 2 : 0)) * 10_000;
          let turns = 0;
          // Between turns time goes on, and now and then somebody sets the clock.
          for (; memory.advance(rows, index, now) === "more"; turns += 1) now += turns % 5 === 4 ? -15_000 : 4_000;
          expect(turns).toBeLessThan(200);
          const cells = rows.cells({} as AttemptArms, { through: memory.through });
          expect(memory.settledCount).toBe(cells.length);
          const inputs = judgementInputs({
            kind: "analysis",
            rollout,
            flag: { killed: false, configurationVersion: 0 },
            cells,
            samples: {},
            breakers: { openInstanceCount: 0, canaryInstanceCount: 0 },
            previous: null,
            now,
          });
          expect(judgeStatistics(memory.statistics, inputs)).toEqual(judgeGuardrails(inputs));
        }
      }),
      { numRuns: 40 },
    );
  });

  it("read no more than eight rows in a turn, however much there is, and judge what was usable when they began", () => {
    const rows = new Rows();
    for (let offset = 0; offset < 500; offset += 1) rows.add({ offset, lateness: 0, stage: 0, errorCount: 0 });
    const memory = new AttemptMemory(rollout);
    let turns = 0;
    let index = FIRST + 501;
    for (; memory.advance(rows, index, index * 10_000) === "more"; turns += 1) {
      // Meanwhile time goes on, and more comes in.
      index += 1;
      rows.add({ offset: index - FIRST, lateness: 0, stage: 0, errorCount: 0 });
    }
    expect(turns).toBe(1_000 / 8);
    expect(rows.mostAtOnce).toBe(8);
    expect(memory.through).toBe(FIRST + 501);
    expect(intervalsOf({ rollout, cells: rows.cells({} as AttemptArms, { through: memory.through }) })).toHaveLength(
      500,
    );
    expect(memory.statistics.judgedThrough).toBe(FIRST + 499);
  });

  it("take what became whole between two turns, as a replay of the decision would", () => {
    const rows = new Rows();
    for (let offset = 0; offset < 5; offset += 1) rows.add({ offset, lateness: 0, stage: 0, errorCount: 0 });
    const memory = new AttemptMemory(rollout);
    const index = FIRST + 10;
    // A clock that was set back to where only the first two intervals are whole, and is set right between the turns.
    expect(memory.advance(rows, index, (FIRST + 3) * 10_000)).toBe("more");
    const now = (FIRST + 10) * 10_000;
    while (memory.advance(rows, index, now) === "more");
    expect(memory.statistics.judgedThrough).toBe(FIRST + 4);
    expect(memory.settledCount).toBe(10);
  });
});
