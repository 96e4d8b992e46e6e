import { Batcher } from "./batcher.ts";
import { checkColumns } from "./columns.ts";
import type { Entity } from "./entity.ts";
import { VersionError } from "./errors.ts";
import { createEvidence } from "./evidence.ts";
import { createFailureGauges, type FailureGauges } from "./failure-gauges.ts";
import { Fleet } from "./fleet.ts";
import { hasThread } from "./lifecycle/version-life.ts";
import { createListeners, tellProblem } from "./listeners.ts";
import { groupBy, Mover, type Slice } from "./mover.ts";
import type { ResolvedOptions } from "./options.ts";
import { Population } from "./population.ts";
import type { Cancel, Clock, VersionsPlatform } from "./ports.ts";
import { Relocation } from "./relocation.ts";
import { Renewal } from "./renewal.ts";
import { Rescue, type Tally } from "./rescue.ts";
import { Routes } from "./routes.ts";
import { createFlagSplit } from "./routing/flag-split.ts";
import { checkSplit, createLocalSplit } from "./routing/local-split.ts";
import type { SplitControl, SplitSource, TrafficSplit } from "./routing/source.ts";
import { Turns } from "./turns.ts";
import type {
  BatchResult,
  EntityDraft,
  MoveReport,
  ProcessOptions,
  ReloadReport,
  RollbackReport,
  UnloadReport,
} from "./types.ts";
import { Upkeep } from "./upkeep.ts";

/** What may be asked of a versioned module, each in a turn of its own. Only loads run beside it. */
export class ModuleRunner {
  readonly listeners = createListeners();
  readonly fleet: Fleet;
  readonly population = new Population();
  readonly upkeep: Upkeep;
  private readonly options: ResolvedOptions;
  private readonly clock: Clock;
  private readonly routes: Routes;
  private readonly control: SplitControl | null;
  private readonly failures: FailureGauges;
  private readonly turns = new Turns();
  private readonly mover: Mover;
  private readonly rescue: Rescue;
  private readonly relocation: Relocation;
  private readonly renewal: Renewal;
  private readonly batcher: Batcher;
  private readonly stopListening: Cancel;
  private changesUnderWay = 0;
  private queuedBatches = 0;

  constructor(platform: VersionsPlatform, options: ResolvedOptions) {
    const { clock, scheduler } = platform;
    const { listeners, population, turns } = this;
    const { moveSlice, deadlineMs } = options.limits;
    const fleet = new Fleet(platform, options, listeners);
    const { source, control } = splitOf(options, fleet);
    const routes = new Routes(fleet, { source, oldest: options.oldest });
    const failures = createFailureGauges(options, { clock, listeners });
    const mover = new Mover(fleet, options, { clock, listeners });
    const rescue = new Rescue({ fleet, population, mover, routes, clock, listeners, moveSlice });
    const renewal = new Renewal({ fleet, mover, rescue, turns, clock, listeners, failures, deadlineMs });
    this.options = options;
    this.clock = clock;
    this.fleet = fleet;
    this.control = control;
    this.routes = routes;
    this.failures = failures;
    this.mover = mover;
    this.rescue = rescue;
    this.renewal = renewal;
    this.relocation = new Relocation({ fleet, population, mover, routes, rescue, turns, moveSlice });
    this.batcher = new Batcher({
      fleet,
      options,
      clock,
      evidence: createEvidence(options),
      rescue: () => rescue.rescue(),
    });
    fleet.onEnded = (entry, failure) => turns.takeUnasked(() => rescue.emergency(entry, failure));
    const stops = [...options.dependencies].map(([name, module]) =>
      module.on("reload", () => void renewal.reloadDependents(name)),
    );
    stops.push(source.onChange(() => this.splitChanged()));
    this.stopListening = () => stops.forEach((stop) => stop());
    this.upkeep = new Upkeep({
      fleet,
      routes,
      rescue,
      turns,
      failures,
      options,
      clock,
      scheduler,
      isIdle: () => this.queuedBatches === 0,
      promote: (split) => this.promote(split),
    });
  }

  // --- versions

  async load(version: string): Promise<void> {
    const entry = this.fleet.get(version);
    this.turns.checkOpen();
    const failure = await this.fleet.load(entry);
    if (failure !== null) throw new VersionError(failure.code, `Cannot load "${version}": ${failure.message}`);
    this.failures.mended(version);
    for (const entity of this.population.all()) entity.refusedBy.delete(version);
    await this.turns.take(() => this.rescue.rescue());
    this.relocation.plan();
  }

  unload(version: string, force: boolean): Promise<UnloadReport> {
    const entry = this.fleet.get(version);
    return this.turns.take(async () => {
      if (!hasThread(entry.life)) throw new VersionError("version_not_loaded", `"${version}" is not loaded.`);
      if (!force && (entry.members.length > 0 || this.routes.percentOf(version) > 0)) {
        throw new VersionError(
          "version_in_use",
          `"${version}" has ${entry.members.length} entities, or a share of the split.`,
        );
      }
      entry.withdrawn = force;
      this.fleet.retire(entry);
      await this.rescue.evacuate(entry);
      const report = await this.fleet.emptied(entry, "unloaded");
      if (report !== null) return report;
      await this.fleet.load(entry);
      throw new VersionError(
        "version_in_use",
        `${entry.members.length} entities of "${version}" were refused elsewhere.`,
      );
    });
  }

  async reload(version: string, url?: URL | string): Promise<ReloadReport> {
    return await this.renewal.reload(version, url);
  }

  async ask(version: string, change: "patch" | "configure", value: unknown, mustTake: boolean): Promise<boolean> {
    return await this.renewal.ask(version, change, value, mustTake);
  }

  // --- the split

  split(): TrafficSplit {
    return this.routes.split();
  }

  async setSplit(split: TrafficSplit, reason: string): Promise<void> {
    const checked = checkSplit(split, [...this.fleet.entries.keys()]);
    const cold = Object.keys(checked).find((version) => (checked[version] ?? 0) > 0 && !this.fleet.isReady(version));
    if (cold !== undefined)
      throw new VersionError("version_not_loaded", `Cannot give "${cold}" a share: it is not loaded.`);
    this.routes.clearRedirects();
    await this.change((control) => control.setSplit(checked, reason));
    this.relocation.plan();
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
    const startedAt = this.clock.monotonic();
    if (source === target) throw new VersionError("migration_refused", `"${from}" has its own state already.`);
    const moved = await this.turns.take(async () => {
      const slice: Slice = { from: source, to: target, entities: [...source.members], kind: "advance" };
      const done = await this.mover.moveTogether(slice);
      if (done.refusedCount > 0) {
        await this.rescue.rescue();
        throw new VersionError("migration_refused", `Nothing went from "${from}" to "${to}": ${done.refusal}`);
      }
      this.routes.redirect(from, to);
      return done;
    });
    const now = this.split();
    if (this.control !== null && (now[from] ?? 0) > 0) {
      const share = { ...now, [from]: 0, [to]: (now[from] ?? 0) + (now[to] ?? 0) };
      await this.change((control) => control.setSplit(share, `State migrated from ${from} to ${to}`));
    }
    const { movedCount, savedCount: restoredFromSavedCount, refusedCount, refusal } = moved;
    const durationMs = this.clock.monotonic() - startedAt;
    return { from, to, movedCount, restoredFromSavedCount, refusedCount, refusal, durationMs, at: this.clock.now() };
  }

  async rollback(version: string, maxDowntimeMs: number, reason: string): Promise<RollbackReport> {
    const target = this.fleet.get(version);
    const tally: Tally = { startedAt: this.clock.monotonic(), savedCount: 0, pauseMs: 0 };
    if (!this.fleet.isReady(version)) {
      const failure = await this.fleet.load(target);
      if (failure !== null) {
        throw new VersionError(failure.code, `Cannot roll back to "${version}": ${failure.message}`);
      }
      this.failures.mended(version);
    }
    const { report, left } = await this.turns.take(async () => {
      this.routes.redirectAllTo(version);
      const before = this.population.all().filter(({ owner }) => owner !== version);
      for (const entity of before) entity.refusedBy.delete(version);
      await this.rescue.rescue();
      for (const [owner, entities] of groupBy(before, ({ owner: at }) => at)) {
        const from = owner === null ? undefined : this.fleet.entries.get(owner);
        if (from !== undefined && from !== target)
          await this.rescue.moveAll({ from, to: target, entities, kind: "return" }, tally);
      }
      const stayed = before.filter(({ owner }) => owner !== version);
      const made = this.rescue.reportOf(
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
    return this.turns.take(async () => {
      const taken = kept.find(({ entity }) => this.population.has(entity))?.entity ?? duplicateIn(kept);
      if (taken !== undefined) throw new VersionError("entity_exists", `There is an entity "${taken}" already.`);
      const entities = kept.map(({ entity, state }) => this.population.add(entity, { version: stateOf, state }));
      const routed = this.population.routeArrivals(this.routes.source, entities);
      await this.rescue.rescue();
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
      this.relocation.planOf(routed);
    });
  }

  remove(names: readonly string[]): Promise<void> {
    return this.turns.take(() => this.forget([...new Set(names)].map((name) => this.population.get(name))));
  }

  states(names: readonly string[] | null): Promise<ReadonlyMap<string, unknown>> {
    return this.turns.take(async () => {
      const entities = names === null ? this.population.all() : names.map((name) => this.population.get(name));
      const states = new Map<string, unknown>();
      for (const [owner, those] of groupBy(entities, (entity) => entity.owner)) {
        const entry = owner === null ? undefined : this.fleet.entries.get(owner);
        const asked = await entry?.thread?.ask<"drain">(
          { type: "drain", entities: those.map(({ name }) => name) },
          this.options.limits.deadlineMs,
        );
        if (asked?.ok === true) for (const { entity, state } of asked.answer.states) states.set(entity, state);
        else if (asked !== undefined && entry !== undefined) await this.rescue.emergency(entry, asked.failure);
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
    return this.turns
      .take(async () => {
        const named =
          entities === undefined ? this.population.all() : entities.map((name) => this.population.get(name));
        if (new Set(named).size !== named.length)
          throw new VersionError("entity_exists", "A batch names an entity twice.");
        const scope = entities === undefined ? "all" : "some";
        const result = await this.batcher.run({
          input,
          columns: checkColumns(columns, named.length),
          entities: named,
          scope,
        });
        await this.rescue.emptyCondemned();
        return result;
      })
      .finally(() => {
        this.queuedBatches -= 1;
      });
  }

  async settled(): Promise<void> {
    for (;;) {
      await Promise.all([...this.fleet.entries.values()].flatMap(({ loading }) => loading ?? []));
      await this.turns.take(() => Promise.resolve());
      const isLoading = [...this.fleet.entries.values()].some(({ loading }) => loading !== null);
      if (!isLoading && !this.relocation.isUnderWay) return;
    }
  }

  async close(): Promise<void> {
    if (!this.turns.isOpen) return;
    this.stopListening();
    this.upkeep.stop();
    await this.turns.close();
    await this.fleet.close();
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

  private splitChanged(): void {
    // What this module asked for itself does not undo what it has done in the meantime.
    if (this.changesUnderWay === 0) this.routes.clearRedirects();
    this.relocation.followSplit();
    this.failures.flagChanged();
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
      if (!asked.ok) await this.rescue.emergency(entry, asked.failure);
    }
    this.relocation.planOf(rerouted);
  }

  private promote(split: TrafficSplit): void {
    this.setSplit(split, "The gates have passed").then(
      () => this.listeners.tell("promote", { split }),
      (error: unknown) => tellProblem(this.listeners, error, "control_refused"),
    );
  }
}

function splitOf(options: ResolvedOptions, fleet: Fleet): { source: SplitSource; control: SplitControl | null } {
  const { flag, control, split } = options;
  if (flag !== null) return { source: createFlagSplit(flag.flags, flag.key), control };
  const local = createLocalSplit(() => [...fleet.entries.keys()], split);
  return { source: local, control: local };
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
