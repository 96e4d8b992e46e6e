import { LIMITS } from "@bunting/contracts/literals";

/** For each flag, the flags it asks, in order. */
export type PrerequisiteGraph = ReadonlyMap<string, readonly string[]>;

/** Why prerequisites cannot be written, with the chain that shows it: each flag asks the next. */
export interface PrerequisiteProblem {
  readonly kind: "cycle" | "too_long";
  readonly chain: readonly string[];
}

/**
 * Whether the prerequisites of `flag` may be written (EV-42). The graph is the environment's as it would be after the
 * write; what does not lead through `flag` is not looked at, because the write did not cause it.
 */
export function prerequisiteProblem(flag: string, graph: PrerequisiteGraph): PrerequisiteProblem | null {
  const cycle = prerequisiteCycle(flag, graph);
  if (cycle !== null) return { kind: "cycle", chain: cycle };
  const above = longestChain(flag, reversed(graph)).reverse();
  const chain = [...above, ...longestChain(flag, graph).slice(1)];
  return chain.length - 1 > LIMITS.prerequisiteDepth ? { kind: "too_long", chain } : null;
}

/** The shortest chain that leads from a flag back to itself, both ends included, or null. */
export function prerequisiteCycle(flag: string, graph: PrerequisiteGraph): readonly string[] | null {
  const cameFrom = new Map<string, string>();
  const open = [flag];
  for (let next = 0; next < open.length; next += 1) {
    const asking = open[next] as string;
    for (const asked of graph.get(asking) ?? []) {
      if (asked === flag) return [...chainTo(asking, cameFrom), flag];
      if (cameFrom.has(asked)) continue;
      cameFrom.set(asked, asking);
      open.push(asked);
    }
  }
  return null;
}

/**
 * The number of prerequisites in the longest chain below each flag; infinite if a chain leads into a cycle. In an order in
 * which every flag comes after those it asks, as far as there is one. Iterative (Kahn's algorithm): a hostile ruleset has
 * chains longer than the stack.
 */
export function prerequisiteDepths(graph: PrerequisiteGraph): ReadonlyMap<string, number> {
  const depths = new Map<string, number>();
  const waitingFor = new Map<string, number>();
  const askedBy = reversed(graph);
  const open: string[] = [];
  for (const [flag, asked] of graph) {
    waitingFor.set(flag, new Set(asked).size);
    if (asked.length === 0) open.push(flag);
  }
  for (const asked of askedBy.keys()) if (!graph.has(asked)) open.push(asked);
  for (let next = 0; next < open.length; next += 1) {
    const flag = open[next] as string;
    const below = (graph.get(flag) ?? []).map((asked) => (depths.get(asked) ?? 0) + 1);
    depths.set(
      flag,
      below.reduce((most, depth) => Math.max(most, depth), 0),
    );
    for (const asking of askedBy.get(flag) ?? []) {
      const left = (waitingFor.get(asking) ?? 0) - 1;
      waitingFor.set(asking, left);
      if (left === 0) open.push(asking);
    }
  }
  for (const flag of graph.keys()) if (!depths.has(flag)) depths.set(flag, Infinity);
  return depths;
}

/** Each flag once among those that ask another, however often it does. */
function reversed(graph: PrerequisiteGraph): PrerequisiteGraph {
  const askedBy = new Map<string, string[]>();
  for (const [asking, asked] of graph) {
    for (const flag of new Set(asked)) {
      const list = askedBy.get(flag);
      if (list === undefined) askedBy.set(flag, [asking]);
      else list.push(asking);
    }
  }
  return askedBy;
}

function chainTo(flag: string, cameFrom: ReadonlyMap<string, string>): string[] {
  const chain = [flag];
  for (let before = cameFrom.get(flag); before !== undefined; before = cameFrom.get(before)) chain.push(before);
  return chain.reverse();
}

/** A longest chain that starts at the flag. Only below flags that are in no cycle: an elder cycle elsewhere ends it. */
function longestChain(flag: string, graph: PrerequisiteGraph): string[] {
  const depths = prerequisiteDepths(graph);
  const chain = [flag];
  for (;;) {
    const asked = (graph.get(chain.at(-1) as string) ?? []).filter((next) => Number.isFinite(depths.get(next)));
    const [first] = asked;
    if (first === undefined) return chain;
    chain.push(
      asked.reduce((deepest, next) => ((depths.get(next) ?? 0) > (depths.get(deepest) ?? 0) ? next : deepest), first),
    );
  }
}
