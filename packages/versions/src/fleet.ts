import type { Entity } from "./entity.ts";
import { type Failure, VersionError } from "./errors.ts";
import { type Candidate, fallbacks } from "./lifecycle/fallback.ts";
import { mayRestart } from "./lifecycle/restart.ts";
import { hasThread, isOut, isServing, nextLife, type VersionEvent } from "./lifecycle/version-life.ts";
import type { Listeners } from "./listeners.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Threads, VersionsPlatform } from "./ports.ts";
import type { UnloadReport } from "./types.ts";
import { VersionEntry } from "./version-entry.ts";
import { VersionThread } from "./version-thread.ts";

/** A version that broke, and what it took with it. */
export interface Incident {
  readonly entry: VersionEntry;
  readonly failure: Failure;
  readonly entities: readonly Entity[];
  /** The most batches that any of them had been through since its state was kept. */
  readonly lostBatchCount: number;
  /** When it was asked what it broke at; till then it served its entities. Monotonic ms. */
  readonly since: number;
}

/** A thread with a version in it. */
interface Prepared {
  readonly thread: VersionThread;
  readonly heapBytes: number;
  readonly migratesFrom: readonly string[] | null;
  readonly dependencies: readonly string[];
}

type Loading = ({ readonly ok: true } & Prepared) | { readonly ok: false; readonly failure: Failure };

/** All declared versions and their threads. Performs the lives that lifecycle/version-life.ts decides. */
export class Fleet {
  readonly entries = new Map<string, VersionEntry>();
  config: unknown;
  private readonly platform: VersionsPlatform;
  private readonly options: ResolvedOptions;
  private readonly listeners: Listeners;
  private readonly threads: Threads;
  private incidents: Incident[] = [];
  /** A thread has ended although nobody asked it anything. */
  onEnded: (entry: VersionEntry, failure: Failure) => void = () => {};

  constructor(platform: VersionsPlatform, options: ResolvedOptions, listeners: Listeners) {
    this.platform = platform;
    this.options = options;
    this.listeners = listeners;
    this.config = options.config;
    for (const [name, url] of options.versions) this.entries.set(name, new VersionEntry(name, url));
    const { maxHeapMb } = options.limits;
    this.threads = platform.createThreads({ maxHeapMb, urls: [...options.versions.values()] });
  }

  /** @throws VersionError `version_unknown` */
  get(version: string): VersionEntry {
    const entry = this.entries.get(version);
    if (entry === undefined) {
      throw new VersionError(
        "version_unknown",
        `No version "${version}": there are ${[...this.entries.keys()].join(", ")}.`,
      );
    }
    return entry;
  }

  declare(version: string, url: string): void {
    const entry = this.entries.get(version);
    if (entry === undefined) this.entries.set(version, new VersionEntry(version, url));
    else entry.url = url;
  }

  /** Loads a version, or joins a load that is under way. Settles with what went wrong, or null. */
  async load(entry: VersionEntry): Promise<Failure | null> {
    const isStart = this.step(entry, { type: "load" });
    entry.withdrawn = false;
    if (isStart) entry.loading = this.start(entry);
    await entry.loading;
    if (isServing(entry.life)) return null;
    return isOut(entry.life) && "failure" in entry.life
      ? entry.life.failure
      : { code: "load_failed", message: `"${entry.name}" was unloaded while it was loading.` };
  }

  /** Loads a version into a thread beside the one that runs it. The caller swaps it in, or ends it. */
  async prepare(entry: VersionEntry, url: string): Promise<Loading> {
    const thread = this.threadFor(entry);
    const loaded = await this.loadInto(thread, entry, url);
    if (!loaded.ok) await thread.end();
    return loaded;
  }

  /** Goes on with a thread that was prepared and has the states of all members already, given in their order. */
  swap(entry: VersionEntry, prepared: Prepared, { url, states }: { url: string; states: readonly unknown[] }): void {
    const { members } = entry;
    entry.begin(prepared.thread);
    entry.url = url;
    this.begun(entry, prepared);
    for (const [slot, entity] of members.entries()) {
      entry.join(entity);
      entity.backup = { version: entry.name, state: states[slot] };
    }
  }

  /** Whether entities may be brought there, now or after a load. */
  isUsable(version: string): boolean {
    const entry = this.entries.get(version);
    return entry !== undefined && !entry.withdrawn && !isOut(entry.life) && entry.life.name !== "retiring";
  }

  isReady(version: string): boolean {
    const entry = this.entries.get(version);
    return entry !== undefined && isServing(entry.life);
  }

  /** Where an entity may go whose version cannot be used, best first. */
  fallbacksFor(previous: string | null): readonly string[] {
    const candidates = [...this.entries.values()].map(
      ({ name, members }): Candidate => ({ version: name, isGood: this.isUsable(name), entityCount: members.length }),
    );
    return fallbacks(candidates, previous);
  }

  /** Where there is nothing else: a version that broke may be started again, a few times. */
  restartable(): VersionEntry | null {
    const now = this.platform.clock.monotonic();
    const broken = [...this.entries.values()].filter(({ life }) => life.name === "failed");
    const entry = broken.find(({ restarts }) => mayRestart(restarts, now));
    if (entry !== undefined) entry.restarts = [...entry.restarts.slice(-9), now];
    return entry ?? null;
  }

  /** Takes a version out because its thread is gone, or must not be asked any more. */
  broke(entry: VersionEntry, failure: Failure, since: number = this.platform.clock.monotonic()): void {
    if (!hasThread(entry.life)) return;
    this.step(entry, { type: "broke", failure });
    const { members: entities } = entry;
    const lostBatchCount = entities.reduce((most, entity) => Math.max(most, entry.unsavedBatches(entity)), 0);
    this.incidents.push({ entry, failure, entities, lostBatchCount, since });
    this.listeners.tell("failure", { version: entry.name, ...failure });
    for (const other of this.entries.values()) {
      for (const entity of other.members) entity.happened({ type: "lost", version: entry.name });
    }
    entry.members = [];
    void this.end(entry, "failed");
  }

  /** What broke since this was last asked. */
  takeIncidents(): readonly Incident[] {
    const taken = this.incidents;
    this.incidents = [];
    return taken;
  }

  /** Takes a version out that works and does its work badly. It keeps its thread until it is empty. */
  condemn(entry: VersionEntry, failure: Failure): void {
    if (!isServing(entry.life)) return;
    this.step(entry, { type: "condemn", failure });
    this.listeners.tell("failure", { version: entry.name, ...failure });
  }

  retire(entry: VersionEntry): void {
    this.step(entry, { type: "retire" });
  }

  /** Ends the thread of a version that was to be empty, and is. */
  async emptied(entry: VersionEntry, cause: UnloadReport["cause"]): Promise<UnloadReport | null> {
    const { name } = entry.life;
    if (entry.members.length > 0 || (name !== "retiring" && name !== "condemned")) return null;
    this.step(entry, { type: "emptied" });
    return await this.end(entry, cause);
  }

  warm(): Promise<void> {
    return this.threads.warm();
  }

  async close(): Promise<void> {
    const ends = [...this.entries.values()].map(async (entry) => {
      await entry.loading;
      await entry.thread?.end();
      entry.thread = null;
    });
    await Promise.all([...ends, this.threads.close()]);
  }

  private async start(entry: VersionEntry): Promise<void> {
    const { clock } = this.platform;
    const startedAt = clock.monotonic();
    const thread = this.threadFor(entry);
    entry.begin(thread);
    const { name: version } = entry;
    const loaded = await this.loadInto(thread, entry, entry.url);
    entry.loading = null;
    if (loaded.ok) {
      this.begun(entry, loaded);
      this.step(entry, { type: "loaded" });
      this.listeners.tell("load", { version, loadMs: clock.monotonic() - startedAt });
      return;
    }
    const { failure } = loaded;
    this.step(entry, { type: "broke", failure });
    entry.thread = null;
    this.listeners.tell("failure", { version, ...failure });
    await thread.end();
  }

  private threadFor(entry: VersionEntry): VersionThread {
    const { clock, scheduler } = this.platform;
    const thread: VersionThread = new VersionThread({
      threads: this.threads,
      scheduler,
      clock,
      ended: (failure) => {
        if (entry.thread === thread) this.onEnded(entry, failure);
      },
    });
    return thread;
  }

  private async loadInto(thread: VersionThread, { name: version }: VersionEntry, url: string): Promise<Loading> {
    const { loadTimeoutMs } = this.options.limits;
    const asked = await thread.ask<"load">({ type: "load", version, url, config: this.config }, loadTimeoutMs);
    if (asked.ok) {
      const { migratesFrom, dependencies } = asked.answer;
      const missing = dependencies.find((name) => !this.options.dependencies.has(name));
      if (missing === undefined) return { ok: true, thread, heapBytes: asked.heapBytes, migratesFrom, dependencies };
      return { ok: false, failure: { code: "dependency_missing", message: `There is no module "${missing}".` } };
    }
    const { code, message } = asked.failure;
    return { ok: false, failure: code === "stalled" ? { code: "load_timeout", message } : asked.failure };
  }

  private begun(entry: VersionEntry, { heapBytes, migratesFrom, dependencies }: Prepared): void {
    entry.migratesFrom = migratesFrom;
    entry.dependencies = dependencies;
    entry.heapBytes = heapBytes;
    entry.loadedAt = this.platform.clock.monotonic();
    entry.checkpointAt = entry.loadedAt;
  }

  private async end(entry: VersionEntry, cause: UnloadReport["cause"]): Promise<UnloadReport> {
    const { clock } = this.platform;
    const { thread, heapBytes: freedBytes, name: version } = entry;
    const startedAt = clock.monotonic();
    entry.thread = null;
    entry.loadedAt = null;
    entry.unusedSince = null;
    entry.heapBytes = 0;
    await thread?.end();
    const report = { version, cause, freedBytes, durationMs: clock.monotonic() - startedAt };
    this.listeners.tell("unload", report);
    return report;
  }

  /** Whether a thread is to be started. */
  private step(entry: VersionEntry, event: VersionEvent): boolean {
    const { life, effects } = nextLife(entry.life, event);
    entry.life = life;
    return effects.includes("start_thread");
  }
}
