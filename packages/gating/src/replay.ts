import type { DecisionRecord } from "@bunting/contracts";
import { canonicalJson } from "./canonical-json.ts";
import { type CommandInputs, decideCommand } from "./command.ts";
import { type DecisionInputs, decide } from "./decide.ts";
import type { DecisionDraft } from "./ruling.ts";

export interface Replay {
  /** The stored inputs lead to the stored decision. */
  readonly same: boolean;
  /**
   * `bytes`: as canonical JSON, byte for byte. `rounded`: another engine decided then, and logarithms are not bit-identical
   * across engines, so numbers are compared to nine significant digits.
   */
  readonly comparison: "bytes" | "rounded";
  readonly recordedEngine: string;
  readonly differences: readonly Difference[];
  /** What the inputs lead to now; null if they are not inputs of a decision, or their command is refused now. */
  readonly decision: DecisionDraft | null;
}

export interface Difference {
  /** As in `guardrails.0.verdict`. */
  readonly path: string;
  /** Canonical JSON; absent where there is nothing. */
  readonly recorded?: string;
  readonly replayed?: string;
}

/**
 * Decides again from the inputs that were stored with a decision.
 *
 * @param record with whole inputs: `cells` of an analysis included. As it is stored or as it is read
 * @param engine of the process that replays, as it would store it: `node 22.12.0, v8 12.4`
 * @param decision that was made again already, of evidence that comes in pages: `inputs` need not be whole then
 */
export function replay(
  record: DecisionRecord & { readonly evidence?: unknown },
  engine: string,
  decision: DecisionDraft | null = decideAgain(record.inputs),
): Replay {
  const {
    id: _id,
    revision: _revision,
    evidence: _evidence,
    engine: recordedEngine,
    inputs: _inputs,
    ...recorded
  } = record;
  const comparison = recordedEngine === engine ? "bytes" : "rounded";
  const view = (value: unknown): unknown => (comparison === "bytes" ? value : rounded(value));
  const differences = [...differencesOf("", view(recorded), view(decision))];
  return { same: differences.length === 0, comparison, recordedEngine, differences, decision };
}

function decideAgain(inputs: unknown): DecisionDraft | null {
  if (!isContainer(inputs)) return null;
  // A store may keep cells apart from the record: whoever replays puts them back first.
  if (inputs.kind === "analysis") {
    return Array.isArray(inputs.cells) ? decide(inputs as unknown as DecisionInputs).decision : null;
  }
  if (inputs.kind !== "command") return null;
  const ruling = decideCommand(inputs as unknown as CommandInputs);
  return "refusal" in ruling ? null : ruling.decision;
}

function* differencesOf(path: string, recorded: unknown, replayed: unknown): Generator<Difference> {
  const [before, after] = [textOf(recorded), textOf(replayed)];
  if (before === after) return;
  if (isContainer(recorded) && isContainer(replayed) && Array.isArray(recorded) === Array.isArray(replayed)) {
    for (const key of new Set([...Object.keys(recorded), ...Object.keys(replayed)])) {
      yield* differencesOf(path === "" ? key : `${path}.${key}`, recorded[key], replayed[key]);
    }
    return;
  }
  yield {
    path,
    ...(before === undefined ? {} : { recorded: before }),
    ...(after === undefined ? {} : { replayed: after }),
  };
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : canonicalJson(value);
}

function isContainer(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** Every number to nine significant digits: enough for any figure, too few for the last bit of a logarithm. */
function rounded(value: unknown): unknown {
  if (typeof value === "number") return Number(value.toPrecision(9));
  if (Array.isArray(value)) return value.map(rounded);
  if (!isContainer(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, rounded(member)]));
}
