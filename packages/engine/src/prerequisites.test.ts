import { LIMITS } from "@bunting/contracts/literals";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type PrerequisiteGraph, prerequisiteCycle, prerequisiteDepths, prerequisiteProblem } from "./prerequisites.ts";

const FLAGS = ["a", "b", "c", "d", "e", "f"] as const;

const anyGraph = fc
  .dictionary(fc.constantFrom(...FLAGS), fc.array(fc.constantFrom(...FLAGS, "g"), { maxLength: 3 }))
  .map((record): PrerequisiteGraph => new Map(Object.entries(record)));

/** Flags 0 to `length`, each asking the next. */
function chainOf(length: number): PrerequisiteGraph {
  return new Map(Array.from({ length }, (_, index) => [String(index), [String(index + 1)]]));
}

describe("EV-42 a cycle or a chain that is too long is refused, and the chain is named", () => {
  it.each<[string, [string, string[]][], string[] | null]>([
    ["itself", [["a", ["a"]]], ["a", "a"]],
    [
      "one another",
      [
        ["a", ["b"]],
        ["b", ["a"]],
      ],
      ["a", "b", "a"],
    ],
    [
      "in a circle",
      [
        ["a", ["x", "b"]],
        ["b", ["c"]],
        ["c", ["d", "a"]],
      ],
      ["a", "b", "c", "a"],
    ],
    [
      "a circle of others",
      [
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["b"]],
      ],
      null,
    ],
    [
      "a diamond",
      [
        ["a", ["b", "c"]],
        ["b", ["d"]],
        ["c", ["d"]],
      ],
      null,
    ],
  ])("a asks %s", (_, graph, chain) => {
    expect(prerequisiteCycle("a", new Map(graph))).toEqual(chain);
    expect(prerequisiteProblem("a", new Map(graph))).toEqual(chain === null ? null : { kind: "cycle", chain });
  });

  it("allows ten prerequisites and refuses eleven, wherever in the chain the write is", () => {
    for (let at = 0; at <= LIMITS.prerequisiteDepth; at += 1) {
      expect(prerequisiteProblem(String(at), chainOf(LIMITS.prerequisiteDepth))).toBeNull();
      expect(prerequisiteProblem(String(at), chainOf(LIMITS.prerequisiteDepth + 1))).toEqual({
        kind: "too_long",
        chain: Array.from({ length: LIMITS.prerequisiteDepth + 2 }, (_, index) => String(index)),
      });
    }
    expect(prerequisiteProblem("elsewhere", chainOf(30))).toBeNull();
  });

  it("names a chain that is there, from a flag back to itself", () => {
    fc.assert(
      fc.property(anyGraph, fc.constantFrom(...FLAGS), (graph, flag) => {
        const chain = prerequisiteCycle(flag, graph);
        expect(chain !== null).toBe(reaches(flag, flag, graph));
        for (const [index, asking] of (chain ?? []).slice(0, -1).entries()) {
          expect(graph.get(asking)).toContain(chain?.[index + 1]);
        }
        if (chain !== null) expect([chain[0], chain.at(-1)]).toEqual([flag, flag]);
      }),
    );
  });

  it("neither overflows the stack nor runs for ever on a hostile graph", () => {
    const long = chainOf(20_000);
    expect(prerequisiteProblem("0", long)?.chain).toHaveLength(20_001);
    expect(prerequisiteCycle("0", new Map([...long, ["20000", ["0"]]]))).toHaveLength(20_002);
  });
});

describe("EV-41 depths", () => {
  it("are the longest chain below a flag, or infinite above a cycle", () => {
    fc.assert(
      fc.property(anyGraph, (graph) => {
        for (const [flag, depth] of prerequisiteDepths(graph)) expect(depth).toBe(naiveDepth(flag, graph));
      }),
    );
  });
});

function reaches(from: string, to: string, graph: PrerequisiteGraph, seen = new Set<string>()): boolean {
  return (graph.get(from) ?? []).some((next) => {
    if (next === to) return true;
    if (seen.has(next)) return false;
    return reaches(next, to, graph, seen.add(next));
  });
}

function naiveDepth(flag: string, graph: PrerequisiteGraph, passed: readonly string[] = []): number {
  if (passed.includes(flag)) return Number.POSITIVE_INFINITY;
  return Math.max(0, ...(graph.get(flag) ?? []).map((next) => naiveDepth(next, graph, [...passed, flag]) + 1));
}
