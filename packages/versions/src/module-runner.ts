import { Batcher, isUnsaved, keep } from "./batcher.ts";
import { checkColumns } from "./columns.ts";
import type { Entity } from "./entity.ts";
import { type Failure, VersionError, type VersionErrorCode } from "./errors.ts";
import { createEvidence } from "./evidence.ts";
import { createFailureGauges, type FailureGauges } from "./failure-gauges.ts";
import { Fleet } from "./fleet.ts";
import { decideCollection, unusedSince } from "./health/collection.ts";
import { BEFORE_PROMOTION, decidePromotion, type Health } from "./health/promotion.ts";
import { hasThread, isServing } from "./lifecycle/version-life.ts";
import { createListeners } from "./listeners.ts";
import { groupBy, Mover, type Slice } from "./mover.ts";
import type { ResolvedOptions } from "./options.ts";
import { Population } from "./population.ts";
import type { Cancel, VersionsPlatform } from "./ports.ts";
import { createFlagSplit } from "./routing/flag-split.ts";
import { checkSplit, createLocalSplit } from "./routing/local-split.ts";
import type { SplitControl, SplitSource, TrafficSplit } from "./routing/source.ts";
import type {
  BatchResult,
  EntityDraft,
  MoveReport,
  ProcessOptions,
  ReloadReport,
  RollbackReport,
  UnloadReport,
} from "./types.ts";
import type { VersionEntry } from "./version-entry.ts";

/** What a rollback adds up to while it is under way. */
interface Tally {
  readonly startedAt: number;
  savedCount: number;
  pauseMs: number;
}

/**
 * Does one thing at a time: a batch, a slice of moves, a command. So a batch never meets an entity half moved, and the order
 * in which things happen is the order in which they were asked for. Only loads run beside it.
 */
export class ModuleRunner {
  readonly listeners = createListeners();
  readonly fleet: Fleet;
  readonly population = new Population();
  unusedThresholdMs: number | null;
  private readonly options: ResolvedOptions;
  private readonly platform: VersionsPlatform;
  private readonly source: SplitSource;
  private readonly control: SplitControl | null;
  private readonly failures: FailureGauges;
  private readonly mover: Mover;
  private readonly batcher: Batcher;
  private readonly stopListening: Cancel;
  /** Versions whose entities are somewhere else until the split changes: after a rollback, or a migration by hand. */
  private readonly redirects = new Map<string, string>();
  private changesUnderWay = 0;
  /** What is being done, and all that waits for it. */
  private last: Promise<unknown> = Promise.resolve();
  private queuedBatches = 0;
  private waitingToMove: Entity[] = [];
  private areMovesQueued = false;
  private promotion = BEFORE_PROMOTION;
  private cancelMaintenance: Cancel = () => {};
  private life: "open" | "closed" = "open";

  constructor(platform: VersionsPlatform, options: ResolvedOptions) {
    const { clock } = platform;
    this.platform = platform;
    this.options = options;
    this.unusedThresholdMs = options.unusedThresholdMs;
    this.failures = createFailureGauges(options, { clock, listeners: this.listeners });
    this.fleet = new Fleet(platform, options, this.listeners);
    if (options.flag === null) {
      const local = createLocalSplit(() => [...this.fleet.entries.keys()], options.split);
      [this.source, this.control] = [local, local];
    } else {
      [this.source, this.control] = [createFlagSplit(options.flag.flags, options.flag.key), options.control];
    }
    this.mover = new Mover(this.fleet, options, { clock, listeners: this.listeners });
    this.batcher = new Batcher({
      fleet: this.fleet,
      options,
      clock,
      evidence: createEvidence(options),
      rescue: () => this.rescue(),
    });
    this.fleet.onEnded = (entry, failure) => void this.turn(() => this.emergency(entry, failure)).catch(ignore);
    const stops = [...options.dependencies].map(([name, module]) =>
      module.on("reload", () => void this.reloadDependents(name)),
    );
    stops.push(this.source.onChange(() => this.splitChanged()));
    this.stopListening = () => stops.forEach((stop) => stop());
    this.maintainLater();
  }

  // --- versions

  async load(version: string): Promise<void> {
    const entry = this.fleet.get(version);
    this.checkOpen();
    const failure = await this.fleet.load(entry);
    if (failure !== null) throw new VersionError(failure.code, `Cannot load "${version}": ${failure.message}`);
    this.failures.mended(version);
    for (const entity of this.population.all()) entity.refusedBy.delete(version);
    await this.turn(() => this.rescue());
    this.planMoves();
  }

  unload(version: string, force: boolean): Promise<UnloadReport> {
    const entry = this.fleet.get(version);
    return this.turn(async () => {
      if (!hasThread(entry.life)) throw new VersionError("version_not_loaded", `"${version}" is not loaded.`);
      if (!force && (entry.members.length > 0 || this.percentOf(version) > 0)) {
        throw new VersionError(
          "version_in_use",
          `"${version}" has ${entry.members.length} entities, or a share of the split.`,
        );
      }
      entry.withdrawn = force;
      this.fleet.retire(entry);
      await this.evacuate(entry);
      const report = await this.fleet.emptied(entry, "unloaded");
      if (report !== null) return report;
      await this.fleet.load(entry);
      throw new VersionError(
        "version_in_use",
        `${entry.members.length} entities of "${version}" were refused elsewhere.`,
      );
    });
  }

  /** A new thread behind the same version, swapped in between two batches. */
  async reload(version: string, url?: URL | string): Promise<ReloadReport> {
    const entry = this.fleet.get(version);
    this.checkOpen();
    const { clock } = this.platform;
    const startedAt = clock.monotonic();
    const from = url === undefined ? entry.url : String(url);
    const loaded = isServing(entry.life) ? await this.fleet.prepare(entry, from) : null;
    if (loaded === null) throw new VersionError("version_not_loaded", `"${version}" is not loaded.`);
    if (!loaded.ok) {
      throw new VersionError(loaded.failure.code, `Cannot reload "${version}": ${loaded.failure.message}`);
    }
    const { thread } = loaded;
    const loadMs = clock.monotonic() - startedAt;
    try {
      return await this.turn(async () => {
        if (!isServing(entry.life)) {
          throw new VersionError("version_not_loaded", `"${version}" went out of service while it was loaded again.`);
        }
        const swapAt = clock.monotonic();
        const carried = await this.mover.carryOver(entry, thread);
        if (!carried.ok) {
          await this.rescue();
          throw new VersionError("migration_refused", `"${version}" stays what it was: ${carried.refusal}`);
        }
        const old = entry.thread;
        this.fleet.swap(entry, loaded, { url: from, states: carried.states });
        const downtimeMs = clock.monotonic() - swapAt;
        const entityCount = entry.members.length;
        const report = { version, entityCount, loadMs, downtimeMs, at: clock.now() };
        this.failures.mended(version);
        this.listeners.tell("reload", report);
        await old?.end();
        return report;
      });
    } finally {
      if (entry.thread !== thread) await thread.end();
    }
  }

  /** What builds on a module that has new code gets a new start too, and tells those that build on it in turn. */
  private async reloadDependents(module: string): Promise<void> {
    const dependents = [...this.fleet.entries.values()].filter(
      ({ life, dependencies }) => isServing(life) && dependencies.includes(module),
    );
    for (const { name } of dependents) {
      await this.reload(name).catch((error: unknown) => this.problem(error, "load_failed"));
    }
  }

  /** @returns Whether it took the change. @throws VersionError `patch_refused` if it did not, where it `mustTake` it. */
  async ask(version: string, change: "patch" | "configure", value: unknown, mustTake: boolean): Promise<boolean> {
    const entry = this.fleet.get(version);
    return await this.turn(async () => {
      const { thread } = entry;
      if (thread === null) throw new VersionError("version_not_loaded", `"${version}" is not loaded.`);
      const { deadlineMs } = this.options.limits;
      const asked =
        change === "patch"
          ? await thread.ask<"patch">({ type: "patch", patch: value }, deadlineMs)
          : await thread.ask<"configure">({ type: "configure", config: value }, deadlineMs);
      if (!asked.ok) await this.emergency(entry, asked.failure);
      if (asked.ok && asked.answer) return true;
      if (!asked.ok || mustTake) {
        const reason = asked.ok ? "it answered false, or has no such function" : asked.failure.message;
        throw new VersionError("patch_refused", `"${version}" did not take the change: ${reason}.`);
      }
      return false;
    });
  }

  // --- the split

  split(): TrafficSplit {
    return this.source.split();
  }

  async setSplit(split: TrafficSplit, reason: string): Promise<void> {
    const checked = checkSplit(split, [...this.fleet.entries.keys()]);
    const cold = Object.keys(checked).find((version) => (checked[version] ?? 0) > 0 && !this.fleet.isReady(version));
    if (cold !== undefined)
      throw new VersionError("version_not_loaded", `Cannot give "${cold}" a share: it is not loaded.`);
    this.redirects.clear();
    await this.change((control) => control.setSplit(checked, reason));
    this.planMoves();
    await this.settled();
  }

  async pin(entity: string, version: string | null): Promise<void> {
    if (version !== null) this.fleet.get(version);
    this.population.get(entity);
    await this.change((control) =>
      control.pin(entity, version, version === null ? "Unpinned" : `Pinned to ${version}`),
    );
    await this.settled();
  }

  async migrate(from: string, to: string): Promise<MoveReport> {
    const [source, target] = [this.fleet.get(from), this.fleet.get(to)];
    const cold = [source, target].find(({ name }) => !this.fleet.isReady(name));
    if (cold !== undefined) throw new VersionError("version_not_loaded", `"${cold.name}" is not loaded.`);
    const startedAt = this.platform.clock.monotonic();
    if (source === target) throw new VersionError("migration_refused", `"${from}" has its own state already.`);
    const moved = await this.turn(async () => {
      const slice: Slice = { from: source, to: target, entities: [...source.members], kind: "advance" };
      const done = await this.mover.moveTogether(slice);
      if (done.refusedCount > 0) {
        await this.rescue();
        throw new VersionError("migration_refused", `Nothing went from "${from}" to "${to}": ${done.refusal}`);
      }
      this.redirects.set(from, to);
      return done;
    });
    const now = this.split();
    if (this.control !== null && (now[from] ?? 0) > 0) {
      const share = { ...now, [from]: 0, [to]: (now[from] ?? 0) + (now[to] ?? 0) };
      await this.change((control) => control.setSplit(share, `State migrated from ${from} to ${to}`));
    }
    const { movedCount, savedCount: restoredFromSavedCount, refusedCount, refusal } = moved;
    const { clock } = this.platform;
    const durationMs = clock.monotonic() - startedAt;
    return { from, to, movedCount, restoredFromSavedCount, refusedCount, refusal, durationMs, at: clock.now() };
  }

  async rollback(version: string, maxDowntimeMs: number, reason: string): Promise<RollbackReport> {
    const target = this.fleet.get(version);
    const tally: Tally = { startedAt: this.platform.clock.monotonic(), savedCount: 0, pauseMs: 0 };
    if (!this.fleet.isReady(version)) {
      const failure = await this.fleet.load(target);
      if (failure !== null) {
        throw new VersionError(failure.code, `Cannot roll back to "${version}": ${failure.message}`);
      }
      this.failures.mended(version);
    }
    const { report, left } = await this.turn(async () => {
      for (const { name } of this.fleet.entries.values()) if (name !== version) this.redirects.set(name, version);
      this.redirects.delete(version);
      const before = this.population.all().filter(({ owner }) => owner !== version);
      for (const entity of before) entity.refusedBy.delete(version);
      await this.rescue();
      for (const [owner, entities] of groupBy(before, ({ owner: at }) => at)) {
        const from = owner === null ? undefined : this.fleet.entries.get(owner);
        if (from !== undefined && from !== target)
          await this.moveAll({ from, to: target, entities, kind: "return" }, tally);
      }
      const stayed = before.filter(({ owner }) => owner !== version);
      const made = this.reportOf(
        { from: null, entities: before, failure: null, lostBatchCount: 0, message: reason },
        tally,
      );
      return { report: { ...made, isWithinLimit: made.downtimeMs <= maxDowntimeMs }, left: stayed.length };
    });
    this.listeners.tell("rollback", report);
    if (this.control !== null) await this.change((control) => control.serve(version, reason));
    if (left > 0) throw new VersionError("rollback_incomplete", `${left} entities could not return to "${version}".`);
    return report;
  }

  // --- entities

  add(drafts: readonly EntityDraft[], stateOf: string): Promise<void> {
    this.fleet.get(stateOf);
    const kept = drafts.map(({ entity, state }) => ({ entity, state: cloned(state) }));
    return this.turn(async () => {
      const taken = kept.find(({ entity }) => this.population.has(entity))?.entity ?? duplicateIn(kept);
      if (taken !== undefined) throw new VersionError("entity_exists", `There is an entity "${taken}" already.`);
      const entities = kept.map(({ entity, state }) => this.population.add(entity, { version: stateOf, state }));
      const routed = this.population.routeArrivals(this.source, entities);
      await this.rescue();
      const homeless = entities.filter(({ owner }) => owner === null);
      if (homeless.length > 0) {
        await this.forget(entities);
        const reason = [...this.fleet.entries.values()].map(({ name, life }) =>
          "failure" in life ? ` ${name}: ${life.failure.message}` : "",
        );
        throw new VersionError(
          "migration_refused",
          `No version takes "${homeless[0]?.name}" with a state of "${stateOf}".${reason.join("")}`,
        );
      }
      this.planMovesOf(routed);
    });
  }

  remove(names: readonly string[]): Promise<void> {
    return this.turn(() => this.forget([...new Set(names)].map((name) => this.population.get(name))));
  }

  states(names: readonly string[] | null): Promise<ReadonlyMap<string, unknown>> {
    return this.turn(async () => {
      const entities = names === null ? this.population.all() : names.map((name) => this.population.get(name));
      const states = new Map<string, unknown>();
      for (const [owner, those] of groupBy(entities, (entity) => entity.owner)) {
        const entry = owner === null ? undefined : this.fleet.entries.get(owner);
        const asked = await entry?.thread?.ask<"drain">(
          { type: "drain", entities: those.map(({ name }) => name) },
          this.options.limits.deadlineMs,
        );
        if (asked?.ok === true) for (const { entity, state } of asked.answer.states) states.set(entity, state);
        else if (asked !== undefined && entry !== undefined) await this.emergency(entry, asked.failure);
        // What has no thread now, or had one a moment ago, is what is kept of it.
        for (const { name, backup } of those) if (!states.has(name)) states.set(name, cloned(backup.state));
      }
      return new Map(entities.map(({ name }) => [name, states.get(name)]));
    });
  }

  // --- batches

  process(input: unknown, { columns = {}, entities }: ProcessOptions): Promise<BatchResult> {
    if (this.queuedBatches >= this.options.limits.maxQueuedBatches) {
      return Promise.reject(new VersionError("queue_full", `${this.queuedBatches} batches wait already.`));
    }
    this.queuedBatches += 1;
    return this.turn(async () => {
      const named = entities === undefined ? this.population.all() : entities.map((name) => this.population.get(name));
      if (new Set(named).size !== named.length)
        throw new VersionError("entity_exists", "A batch names an entity twice.");
      const scope = entities === undefined ? "all" : "some";
      const result = await this.batcher.run({
        input,
        columns: checkColumns(columns, named.length),
        entities: named,
        scope,
      });
      await this.emptyCondemned();
      return result;
    }).finally(() => {
      this.queuedBatches -= 1;
    });
  }

  async settled(): Promise<void> {
    for (;;) {
      await Promise.all([...this.fleet.entries.values()].flatMap(({ loading }) => loading ?? []));
      await this.turn(() => Promise.resolve());
      const isLoading = [...this.fleet.entries.values()].some(({ loading }) => loading !== null);
      if (!isLoading && !this.areMovesQueued) return;
    }
  }

  async close(): Promise<void> {
    if (this.life === "closed") return;
    this.life = "closed";
    this.stopListening();
    this.cancelMaintenance();
    await this.last.catch(ignore);
    await this.fleet.close();
  }

  // --- one thing at a time

  private turn<Result>(task: () => Promise<Result>): Promise<Result> {
    const done = this.last.then(() => {
      this.checkOpen();
      return task();
    });
    this.last = done.catch(ignore);
    return done;
  }

  private checkOpen(): void {
    if (this.life === "closed") throw new VersionError("closed", "The module was closed.");
  }

  private async change(order: (control: SplitControl) => Promise<void>): Promise<void> {
    if (this.control === null) {
      throw new VersionError("no_control", "The split is the flag's, and there is no `control` to change it with.");
    }
    this.changesUnderWay += 1;
    try {
      await order(this.control);
    } finally {
      this.changesUnderWay -= 1;
    }
  }

  // --- where entities go

  private splitChanged(): void {
    // What this module asked for itself does not undo what it has done in the meantime.
    if (this.changesUnderWay === 0) this.redirects.clear();
    this.population.routeAgain(this.source);
    // Who was refused on the way back may come with what was saved, now that nobody is to be left there.
    for (const { owner, routed, refusedBy } of this.population.all()) {
      if (owner === null || routed === null || !refusedBy.has(routed)) continue;
      if (this.kindOf(this.fleet.get(owner), this.fleet.get(routed)) === "return") refusedBy.delete(routed);
    }
    this.planMoves();
  }

  /** Where an entity is to be: where the split wants it, if that version works; else where it is; else with the last good one. */
  private targetOf(entity: Entity): string | null {
    const { routed, owner } = entity;
    const wanted = routed === null ? this.options.oldest : (this.redirects.get(routed) ?? routed);
    if (this.fleet.isUsable(wanted) && !entity.refusedBy.has(wanted)) return wanted;
    if (owner !== null && this.fleet.isUsable(owner)) return owner;
    return this.fleet.fallbacksFor(entity.previous).find((version) => !entity.refusedBy.has(version)) ?? null;
  }

  /** For everybody: the split has changed, or what can be used. */
  private planMoves(): void {
    this.waitingToMove = [];
    this.planMovesOf(this.population.all());
  }

  /** For those whose route has changed. */
  private planMovesOf(entities: readonly Entity[]): void {
    const waiting = new Set(this.waitingToMove);
    for (const entity of entities) {
      const target = this.targetOf(entity);
      // Who is on the way arrives yet, maybe where nobody wants it any more.
      const isOnItsWay = entity.move.name !== "resident";
      if (target === null || (target === entity.owner && !isOnItsWay)) continue;
      if (this.fleet.isReady(target)) waiting.add(entity);
      else this.loadForTraffic(this.fleet.get(target));
    }
    this.waitingToMove = [...waiting];
    if (waiting.size > 0) this.moveSoon();
  }

  private loadForTraffic(entry: VersionEntry): void {
    if (entry.loading !== null || this.life === "closed") return;
    void this.fleet.load(entry).then(() => {
      if (this.life === "open") this.planMoves();
    });
  }

  private moveSoon(): void {
    if (this.areMovesQueued || this.life === "closed") return;
    this.areMovesQueued = true;
    // A task of its own for each slice: batches that were asked for in the meantime come between.
    void this.turn(async () => {
      try {
        await this.moveSlice();
      } finally {
        this.areMovesQueued = false;
        if (this.waitingToMove.length > 0) this.moveSoon();
      }
    }).catch(ignore);
  }

  private async moveSlice(): Promise<void> {
    const waiting = this.waitingToMove;
    const first = waiting.find((entity) => this.isDue(entity));
    this.waitingToMove = [];
    if (first === undefined) return;
    const [from, to] = [first.owner as string, this.targetOf(first) as string];
    const isAlike = (entity: Entity): boolean =>
      this.isDue(entity) && entity.owner === from && this.targetOf(entity) === to;
    const slice: Entity[] = [];
    for (const entity of waiting) {
      if (slice.length < this.options.limits.moveSlice && isAlike(entity)) slice.push(entity);
      else this.waitingToMove.push(entity);
    }
    const [source, target] = [this.fleet.get(from), this.fleet.get(to)];
    await this.mover.move({ from: source, to: target, entities: slice, kind: this.kindOf(source, target) });
    await this.rescue();
  }

  private isDue(entity: Entity): boolean {
    const target = this.targetOf(entity);
    const isThere = this.population.has(entity.name) && entity.move.name === "resident";
    return isThere && target !== null && target !== entity.owner && this.fleet.isReady(target);
  }

  /**
   * Whoever leaves a version that is out of service, or that was rolled back, goes with what it has. Rolled back is also what
   * has no share any more while an older version has its entities: a kill, a gate on the server or a person has done that.
   */
  private kindOf({ name, life }: VersionEntry, to: VersionEntry): Slice["kind"] {
    if (!isServing(life) || this.redirects.has(name)) return "return";
    const declared = [...this.fleet.entries.keys()];
    const isBack = declared.indexOf(to.name) < declared.indexOf(name);
    return isBack && this.percentOf(name) === 0 ? "return" : "advance";
  }

  private async moveAll(slice: Slice, tally: Tally): Promise<void> {
    const { moveSlice } = this.options.limits;
    const entities = slice.entities.filter(({ owner }) => owner === slice.from.name);
    for (let start = 0; start < entities.length; start += moveSlice) {
      const moved = await this.mover.move({ ...slice, entities: entities.slice(start, start + moveSlice) });
      tally.savedCount += moved.savedCount;
      tally.pauseMs = Math.max(tally.pauseMs, moved.pauseMs);
      await this.rescue();
    }
  }

  /** Empties a version that is out of service but answers. */
  private async evacuate(
    entry: VersionEntry,
    tally: Tally = { startedAt: 0, savedCount: 0, pauseMs: 0 },
  ): Promise<void> {
    for (const target of this.fleet.fallbacksFor(entry.members[0]?.previous ?? null)) {
      const entities = [...entry.members].filter(({ refusedBy }) => !refusedBy.has(target));
      if (entities.length === 0) continue;
      const to = this.fleet.get(target);
      if (!this.fleet.isReady(target) && (await this.fleet.load(to)) !== null) continue;
      await this.moveAll({ from: entry, to, entities, kind: "return" }, tally);
    }
  }

  /** What the breaker has condemned gives its entities back, with the state that they have now. */
  private async emptyCondemned(): Promise<void> {
    for (const entry of this.fleet.entries.values()) {
      if (entry.life.name !== "condemned") continue;
      const { failure } = entry.life;
      const entities = [...entry.members];
      const tally: Tally = { startedAt: this.platform.clock.monotonic(), savedCount: 0, pauseMs: 0 };
      await this.evacuate(entry, tally);
      if (entities.length > 0) {
        const report = this.reportOf(
          { from: entry.name, entities, failure, lostBatchCount: 0, message: failure.message },
          tally,
        );
        this.listeners.tell("rollback", report);
      }
      // Nobody takes them: a version that fails at some is better than none.
      if (entry.members.length > 0) await this.fleet.load(entry);
      else await this.fleet.emptied(entry, "failed");
    }
  }

  // --- emergencies

  private async emergency(entry: VersionEntry, failure: Failure): Promise<void> {
    this.fleet.broke(entry, failure);
    await this.rescue();
  }

  /**
   * Brings whoever has no version to one that works: the one it is meant for, the one it was with before, the others; and where
   * there is none, a broken one is started again. Who is refused everywhere stays here, with its state, until that changes.
   * For each version that broke, that was a rollback, and is told as one.
   */
  private async rescue(): Promise<void> {
    const { clock } = this.platform;
    const startedAt = clock.monotonic();
    const incidents = [...this.fleet.takeIncidents()];
    let savedCount = 0;
    for (;;) {
      const waiting = this.stranded();
      const groups = groupBy(waiting, (entity) => this.targetOf(entity));
      const [target, entities] = [...groups].find(([version]) => version !== null) ?? [null, []];
      if (target === null) {
        const again = waiting.length === 0 ? null : this.fleet.restartable();
        if (again === null || (await this.fleet.load(again)) !== null) break;
        for (const entity of waiting) entity.refusedBy.delete(again.name);
        continue;
      }
      const to = this.fleet.get(target);
      if (!this.fleet.isReady(target) && (await this.fleet.load(to)) !== null) continue;
      const restored = await this.mover.restore(to, entities);
      savedCount += restored.savedCount;
      incidents.push(...this.fleet.takeIncidents());
    }
    if (incidents.length === 0) return;
    for (const { entry, failure, entities, lostBatchCount, since } of incidents) {
      if (entities.length === 0) continue;
      const tally: Tally = { startedAt, savedCount, pauseMs: clock.monotonic() - since };
      const what = { from: entry.name, entities, failure, lostBatchCount, message: failure.message };
      this.listeners.tell("rollback", this.reportOf(what, tally));
    }
  }

  private stranded(): readonly Entity[] {
    return this.population.all().filter(({ move }) => move.name === "stranded");
  }

  private reportOf(
    what: {
      readonly from: string | null;
      readonly entities: readonly Entity[];
      readonly failure: Failure | null;
      readonly lostBatchCount: number;
      readonly message: string;
    },
    tally: Tally,
  ): RollbackReport {
    const { clock } = this.platform;
    const to: Record<string, number> = {};
    for (const { owner } of what.entities) if (owner !== null) to[owner] = (to[owner] ?? 0) + 1;
    return {
      from: what.from,
      to,
      cause: what.failure?.code ?? null,
      message: what.message,
      entityCount: what.entities.length,
      strandedCount: what.entities.filter(({ owner }) => owner === null).length,
      restoredFromSavedCount: tally.savedCount,
      lostBatchCount: what.lostBatchCount,
      rollbackMs: clock.monotonic() - tally.startedAt,
      downtimeMs: tally.pauseMs,
      isWithinLimit: tally.pauseMs <= DEFAULT_DOWNTIME_MS,
      at: clock.now(),
    };
  }

  /** Nobody knows them any more, and whoever has to make up for them is told to move. */
  private async forget(entities: readonly Entity[]): Promise<void> {
    const groups = groupBy(entities, ({ owner }) => (owner === null ? undefined : this.fleet.entries.get(owner)));
    const farewells = [...groups].map(([entry, those]) => ({ entry, those, thread: entry?.thread ?? null }));
    // All at once here, so that whatever breaks while they are told, nobody comes back.
    for (const { entry, those } of farewells) {
      for (const entity of those) {
        this.population.remove(entity);
        entry?.leave(entity);
      }
    }
    const rerouted = this.population.routeDepartures(entities);
    for (const { entry, those, thread } of farewells) {
      if (entry === undefined || thread === null || entry.thread !== thread) continue;
      const names = those.map(({ name }) => name);
      const asked = await thread.ask<"release">({ type: "release", entities: names }, this.options.limits.deadlineMs);
      if (!asked.ok) await this.emergency(entry, asked.failure);
    }
    this.planMovesOf(rerouted);
  }

  // --- from time to time

  private maintainLater(): void {
    this.cancelMaintenance = this.platform.scheduler.after(this.options.limits.maintenanceMs, () => {
      if (this.life === "closed") return;
      this.maintainLater();
      this.failures.repeat();
      if (this.queuedBatches === 0) void this.turn(() => this.saveIdle()).catch(ignore);
      void this.turn(() => this.collect()).catch(ignore);
      this.promote();
    });
  }

  /** Keeps the states of versions that have come to rest after their last checkpoint. */
  private async saveIdle(): Promise<void> {
    const now = this.platform.clock.monotonic();
    for (const entry of this.fleet.entries.values()) {
      const isDue = now - entry.checkpointAt >= this.options.checkpointEveryMs;
      if (!isUnsaved(entry) || !isDue || entry.thread === null) continue;
      const asked = await entry.thread.ask<"checkpoint">({ type: "checkpoint" }, this.options.limits.deadlineMs);
      if (asked.ok) keep(entry, asked.answer.states, this.platform.clock.monotonic());
      else await this.emergency(entry, asked.failure);
    }
  }

  private async collect(): Promise<void> {
    const now = this.platform.clock.monotonic();
    const usages = [...this.fleet.entries.values()].map((entry) => {
      const usage = {
        version: entry.name,
        isServing: isServing(entry.life),
        entityCount: entry.members.length,
        trafficPercent: this.percentOf(entry.name),
        unusedSince: entry.unusedSince,
      };
      entry.unusedSince = unusedSince(usage, now);
      return { ...usage, unusedSince: entry.unusedSince };
    });
    if (this.unusedThresholdMs === null) return;
    for (const version of decideCollection(usages, { thresholdMs: this.unusedThresholdMs, now })) {
      const entry = this.fleet.get(version);
      this.fleet.retire(entry);
      await this.fleet.emptied(entry, "collected");
    }
  }

  private percentOf(version: string): number {
    const split = this.split();
    let percent = 0;
    for (const [name, share] of Object.entries(split))
      if ((this.redirects.get(name) ?? name) === version) percent += share;
    return percent;
  }

  private promote(): void {
    const plan = this.options.promotion;
    if (plan === null || !this.fleet.isReady(plan.canary) || !this.fleet.isReady(plan.baseline)) {
      this.promotion = { ...this.promotion, passingSince: null };
      return;
    }
    const verdict = decidePromotion(plan, this.promotion, {
      canary: healthOf(this.fleet.get(plan.canary)),
      baseline: healthOf(this.fleet.get(plan.baseline)),
      maxErrorRate: this.options.limits.maxErrorRate,
      now: this.platform.clock.monotonic(),
    });
    this.promotion = verdict.state;
    if (verdict.kind === "hold") return;
    const { split } = verdict;
    this.setSplit(split, "The gates have passed").then(
      () => this.listeners.tell("promote", { split }),
      (error: unknown) => this.problem(error, "control_refused"),
    );
  }

  private problem(error: unknown, otherwise: VersionErrorCode): void {
    const code = error instanceof VersionError ? error.code : otherwise;
    this.listeners.tell("problem", { code, message: error instanceof Error ? error.message : String(error) });
  }
}

const DEFAULT_DOWNTIME_MS = 1_000;

function healthOf(entry: VersionEntry): Health {
  const { processedCount, errorRate, times, batchCount, life } = entry;
  const perBatch = batchCount === 0 ? 0 : processedCount / batchCount;
  return {
    isServing: isServing(life),
    processedCount,
    errorRate,
    meanMs: perBatch === 0 ? 0 : times.meanMs / perBatch,
  };
}

/** @throws VersionError `not_cloneable` */
function cloned(state: unknown): unknown {
  try {
    return structuredClone(state);
  } catch (error) {
    throw new VersionError("not_cloneable", "A state cannot be sent to another thread.", { cause: error });
  }
}

function duplicateIn(drafts: readonly EntityDraft[]): string | undefined {
  const seen = new Set<string>();
  return drafts.find(({ entity }) => seen.size === seen.add(entity).size)?.entity;
}

function ignore(): void {}
