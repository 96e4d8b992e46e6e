import type { Ruleset } from "@bunting/contracts";
import { rulesetChecksum } from "@bunting/engine";
import { asRuleset, isCount, isObject, parseJson } from "../guards.ts";
import type { Cancel, Clock, Files, Scheduler } from "../ports.ts";

/** The last known good state as it lies on disk. */
export interface CachedState {
  readonly ruleset: Ruleset;
  /** Epochs that were left (LC-31). */
  readonly left: readonly string[];
  /** Unix ms. */
  readonly savedAt: number;
}

/*
 * Two lines: a header { format, scope, epoch, revision, sha256 } and the contents it vouches for. Whatever is not exactly
 * so is a miss: a cut or altered file, one of another environment, one that a newer release wrote.
 */
const FORMAT = "bunting-cache-1";

export function renderCache(state: CachedState, scope: string, files: Pick<Files, "digest">): string {
  const contents = JSON.stringify(state);
  const { epoch, revision } = state.ruleset;
  return `${JSON.stringify({ format: FORMAT, scope, epoch, revision, sha256: files.digest(contents) })}\n${contents}\n`;
}

export function parseCache(text: string, scope: string, files: Pick<Files, "digest">): CachedState | null {
  const [head, contents, rest, ...more] = text.split("\n");
  if (head === undefined || contents === undefined || rest !== "" || more.length > 0) return null;
  const header = parseJson(head);
  if (!isObject(header) || header.format !== FORMAT || header.scope !== scope) return null;
  if (header.sha256 !== files.digest(contents)) return null;
  const state = parseJson(contents);
  if (!isObject(state) || !isCount(state.savedAt) || !Array.isArray(state.left)) return null;
  const ruleset = asRuleset(state.ruleset);
  if (ruleset === null || ruleset.epoch !== header.epoch || ruleset.revision !== header.revision) return null;
  if (rulesetChecksum(ruleset) !== ruleset.checksum) return null;
  const left = state.left.filter((epoch): epoch is string => typeof epoch === "string");
  return { ruleset, left, savedAt: state.savedAt };
}

/** Keeps the cache file up to date, one write at a time. A write that fails is counted and changes nothing else. */
export interface CacheWriter {
  save(state: CachedState): void;
  /** Writes what is not written yet, then calls back, whatever came of it. */
  finish(done: () => void): void;
  readonly errors: number;
}

/** Between two writes at least; and what a large state costs to write down, so many times over. */
const SPACING_MS = 1_000;
const SPACING_FACTOR = 50;

export function createCacheWriter(path: string, scope: string, { files, scheduler, clock }: CachePorts): CacheWriter {
  let saved: Ruleset | null = null;
  let waiting: CachedState | null = null;
  let activity: "idle" | "writing" | "resting" = "idle";
  let cancel: Cancel = () => {};
  let finished: (() => void) | null = null;
  let errors = 0;
  let spacingMs = SPACING_MS;

  const write = (state: CachedState): void => {
    waiting = null;
    activity = "writing";
    saved = state.ruleset;
    const startedAt = clock.monotonic();
    const text = renderCache(state, scope, files);
    spacingMs = Math.max(SPACING_MS, (clock.monotonic() - startedAt) * SPACING_FACTOR);
    files.replace(path, text, (error) => {
      if (error !== undefined) errors += 1;
      rest();
    });
  };
  const rest = (): void => {
    if (finished !== null) return conclude();
    activity = "resting";
    cancel = scheduler.after(spacingMs, () => {
      activity = "idle";
      if (waiting !== null) write(waiting);
    });
  };
  const conclude = (): void => {
    activity = "idle";
    if (waiting !== null) return write(waiting);
    finished?.();
    finished = null;
  };
  return {
    get errors() {
      return errors;
    },
    save(state) {
      if (state.ruleset === saved || state.ruleset.epoch === "") return;
      waiting = state;
      if (activity === "idle") write(state);
    },
    finish(done) {
      cancel();
      finished = done;
      if (activity !== "writing") conclude();
    },
  };
}

interface CachePorts {
  readonly files: Pick<Files, "digest" | "replace">;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
}
