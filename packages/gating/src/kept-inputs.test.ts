import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "./canonical-json.ts";
import { decide } from "./decide.ts";
import { decideInPages, isKept, type KeptInputs, restoreInputs } from "./kept-inputs.ts";
import { AttemptOnRecord, happenings, plans, type StoredRow, usual } from "./what-if-fixture.ts";

/** As they are listed. */
function byPlace(one: StoredRow, other: StoredRow): number {
  const byVariant = one.variant < other.variant ? -1 : one.variant > other.variant ? 1 : 0;
  return one.interval - other.interval || one.stage - other.stage || byVariant || one.availableAt - other.availableAt;
}

async function* inPages<Row>(rows: readonly Row[], size: number): AsyncGenerator<readonly Row[]> {
  for (let first = 0; first < rows.length; first += size) yield await Promise.resolve(rows.slice(first, first + size));
}

const looksOf = (attempt: AttemptOnRecord): readonly KeptInputs[] =>
  attempt.history.records.flatMap(({ inputs }) => (isKept(inputs) ? [inputs] : []));

const settledAt = ({ rows }: AttemptOnRecord, through: number): StoredRow[] =>
  rows.filter(({ availableAt }) => availableAt <= through).sort(byPlace);

describe("GA-170 a decision is made again of evidence that comes in pages", () => {
  it("property: byte for byte that of all of it at once, whatever happened and however it is cut", async () => {
    let [lookCount, mergedCount] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        plans,
        happenings,
        fc.integer({ min: 1, max: 9 }),
        fc.nat(),
        async (plan, happened, size, cut) => {
          const attempt = new AttemptOnRecord(plan);
          for (const each of happened) attempt.live(each);
          for (const look of looksOf(attempt)) {
            // Also as if the last of it had been too fresh to be named: late rows of intervals that had settled are among them.
            const through = look.through - (cut % 4);
            const rest = settledAt(attempt, look.through).filter(({ availableAt }) => availableAt > through);
            const settled = settledAt(attempt, through);
            const fresh = [...rest.map(({ availableAt: _availableAt, ...cell }) => cell), ...look.fresh];
            const kept = { ...look, through, settledCount: settled.length, fresh };
            const whole = restoreInputs(kept, settled);
            if (whole === null) throw new Error("Evidence went missing.");
            const ruling = await decideInPages(kept, inPages(settled, size));
            expect(canonicalJson(ruling)).toBe(canonicalJson(decide(whole)));
            lookCount += 1;
            if (rest.some(({ interval }) => settled.some((cell) => cell.interval === interval))) mergedCount += 1;
          }
        },
      ),
      { numRuns: 20 },
    );
    expect(lookCount).toBeGreaterThan(30);
    expect(mergedCount).toBeGreaterThan(0);
  });
});

describe("GA-177 a decision of evidence that comes in pages", () => {
  const attempt = new AttemptOnRecord(fc.sample(plans, { numRuns: 1, seed: 7 })[0] ?? never());
  for (let index = 0; index < 20; index += 1) attempt.live(usual);
  const look = looksOf(attempt).at(-1) ?? never();
  const settled = settledAt(attempt, look.through);

  function never(): never {
    throw new Error("There is none.");
  }

  it("is not made of less than it rested on, nor of more", async () => {
    expect(settled.length).toBe(look.settledCount);
    expect(await decideInPages(look, inPages(settled.slice(1), 4))).toBeNull();
    expect(await decideInPages(look, inPages(settled.slice(0, -1), 4))).toBeNull();
    expect(await decideInPages(look, inPages([], 4))).toBeNull();
    expect(await decideInPages(look, inPages([...settled, ...settled.slice(-1)], 4))).toBeNull();
  });

  it("reads none where it rests on none", async () => {
    const unread: AsyncIterable<never> = {
      [Symbol.asyncIterator]: () => {
        throw new Error("It was read.");
      },
    };
    const byHand = { ...look, settledCount: null, flag: { killed: true, configurationVersion: 99 } };
    expect((await decideInPages(byHand, unread))?.decision.cause).toBe("flag_killed");
    const ofTheLastMinute = { ...look, through: -1, settledCount: 0, fresh: settled };
    expect(await decideInPages(ofTheLastMinute, unread)).toEqual(
      decide(restoreInputs({ ...look, settledCount: null, fresh: settled }, []) ?? never()),
    );
  });

  it("knows inputs that are of another release", () => {
    for (const inputs of [null, { kind: "analysis" }, { kind: "command" }, { ...look, fresh: undefined }]) {
      expect(isKept(inputs)).toBe(false);
    }
    expect(isKept(look)).toBe(true);
  });
});
