import { createHash } from "node:crypto";
import type { KillMessage, Operation, Patch, Ruleset, RulesetFlag, Snapshot } from "@bunting/contracts";
import { BUCKET_COUNT, BUCKETING_ALGORITHM } from "@bunting/contracts/literals";
import { applyKill, applyOperations, checksumInput, rulesetChecksum } from "@bunting/engine";

/** One environment's truth for tests of clients: its ruleset, its log, and who wants to hear of commits. */
export interface Origin {
  readonly ruleset: Ruleset;
  /** Every ruleset there ever was, by `epoch:revision`: what a client may hold. */
  readonly history: ReadonlyMap<string, Ruleset>;
  put(...entries: readonly RulesetFlag[]): Patch;
  remove(key: string): Patch;
  kill(...keys: readonly string[]): KillMessage;
  /** As a restore does: another epoch, the revision goes on. */
  rewriteHistory(epoch: string): void;
  /** What leads from a revision of this epoch to head; null if the log does not reach back so far. */
  since(revision: number): readonly (Patch | KillMessage)[] | null;
  snapshot(): Snapshot;
  /** Forgets the log: whoever is behind now needs a snapshot. */
  compact(): void;
  onCommit(listener: (message: Patch | KillMessage) => void): () => void;
}

type Step = Patch | KillMessage;

export function createOrigin(entries: readonly RulesetFlag[] = [], epoch = "epoch-1"): Origin {
  let ruleset = rulesetOf(epoch, 1, entries);
  let log: Step[] = [];
  const history = new Map<string, Ruleset>();
  const listeners = new Set<(step: Step) => void>();
  const remember = (): void => void history.set(`${ruleset.epoch}:${ruleset.revision}`, ruleset);
  remember();

  const commit = <Made extends Step>(step: Made, after: Ruleset): Made => {
    ruleset = after;
    log.push(step);
    remember();
    for (const listener of listeners) listener(step);
    return step;
  };
  const change = (operations: Operation[], flags: Record<string, RulesetFlag>): Patch => {
    const { revision: previous } = ruleset;
    const checksum = rulesetChecksum({ flags, segments: {} } as Ruleset);
    const patch: Patch = { type: "patch", previous, revision: previous + 1, operations, checksum };
    const applied = applyOperations(ruleset, patch);
    if (!applied.ok) throw new Error(`The test's own patch does not apply: ${applied.reason}`);
    return commit(patch, applied.ruleset);
  };
  return {
    get ruleset() {
      return ruleset;
    },
    history,
    put(...changed) {
      const flags: Record<string, RulesetFlag> = { ...ruleset.flags };
      for (const entry of changed) flags[entry.key] = entry;
      return change(
        changed.map((value) => ({ op: "put", kind: "flag", key: value.key, value })),
        flags,
      );
    },
    remove(key) {
      const flags: Record<string, RulesetFlag> = { ...ruleset.flags };
      delete flags[key];
      return change([{ op: "remove", kind: "flag", key: key as RulesetFlag["key"] }], flags);
    },
    kill(...keys) {
      const flags: Record<string, RulesetFlag> = { ...ruleset.flags };
      const killed = keys.map((key) => {
        const entry = flags[key];
        if (entry === undefined) throw new Error(`No flag ${key} to kill.`);
        const dead = withChecksum({ ...entry, killed: true });
        flags[key] = dead;
        return { key: dead.key, checksum: dead.checksum };
      });
      const { revision: previous } = ruleset;
      const checksum = rulesetChecksum({ flags, segments: {} } as Ruleset);
      const message: KillMessage = { type: "kill", previous, revision: previous + 1, flags: killed, checksum };
      const applied = applyKill(ruleset, message);
      if (!applied.ok) throw new Error(`The test's own kill does not apply: ${applied.reason}`);
      return commit(message, applied.ruleset);
    },
    rewriteHistory(next) {
      ruleset = { ...ruleset, epoch: next, revision: ruleset.revision + 1 };
      log = [];
      remember();
    },
    since(revision) {
      if (revision === ruleset.revision) return [];
      const from = log.findIndex((step) => step.previous === revision);
      return from === -1 ? null : log.slice(from);
    },
    snapshot: () => ({ type: "snapshot", part: 1, parts: 1, ...ruleset }),
    compact() {
      log = [];
    },
    onCommit(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

export interface FlagShape {
  /** Of 100, who gets `on`. */
  readonly percent?: number;
  readonly enabled?: boolean;
  readonly killed?: boolean;
  readonly salt?: number;
  /** Any other field of the entry. */
  readonly entry?: Readonly<Record<string, unknown>>;
}

/** A boolean flag's entry as a server compiles it, checksum and all. */
export function booleanFlag(
  key: string,
  { percent = 100, enabled = true, killed = false, salt = 7, entry = {} }: FlagShape = {},
): RulesetFlag {
  const on = Math.round((percent / 100) * BUCKET_COUNT);
  const allocation = [
    ["on", 0, on],
    ["off", on, BUCKET_COUNT],
  ].filter(([, from, to]) => from !== to);
  return withChecksum({
    key,
    type: "boolean",
    bucketing: BUCKETING_ALGORITHM,
    variants: { on: { value: true }, off: { value: false } },
    enabled,
    killed,
    offVariant: "off",
    salt,
    bucketBy: ["key"],
    pins: {},
    prerequisites: [],
    rules: [],
    fallthrough: { allocation },
    metadata: {},
    ...entry,
  });
}

/** First 48 bits of the SHA-256 of an entry's canonical JSON. */
export function withChecksum(entry: object): RulesetFlag {
  const checksum = createHash("sha256").update(checksumInput(entry)).digest("hex").slice(0, 12);
  return { ...entry, checksum } as RulesetFlag;
}

function rulesetOf(epoch: string, revision: number, entries: readonly RulesetFlag[]): Ruleset {
  const flags = Object.fromEntries(entries.map((entry) => [entry.key, entry])) as Ruleset["flags"];
  return { epoch, revision, checksum: rulesetChecksum({ flags, segments: {} }), flags, segments: {} };
}
