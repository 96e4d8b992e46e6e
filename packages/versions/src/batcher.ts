import { Assembly, gather } from "./columns.ts";
import type { Entity } from "./entity.ts";
import { VersionError } from "./errors.ts";
import type { Evidence } from "./evidence.ts";
import type { Fleet } from "./fleet.ts";
import { addOutcomes, isTripped } from "./health/breaker.ts";
import { hasThread } from "./lifecycle/version-life.ts";
import { groupBy } from "./mover.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Clock } from "./ports.ts";
import type { BatchResult } from "./types.ts";
import type { VersionEntry } from "./version-entry.ts";
import type { Columns } from "./version-module.ts";
import type { Asked } from "./version-thread.ts";
import type { Processed } from "./worker/protocol.ts";

export interface BatchDraft {
  readonly input: unknown;
  readonly columns: Columns;
  /** In the order of the columns. */
  readonly entities: readonly Entity[];
  /** All: the module's own order, so that each entity knows its place. */
  readonly scope: "all" | "some";
}

/** What one version has of a batch. */
interface Part {
  readonly entry: VersionEntry;
  readonly entities: readonly Entity[];
  /** Where in the batch each of them is. */
  readonly places: Uint32Array;
  readonly asked: Promise<Asked<Processed>>;
  readonly sentAt: number;
}

export interface BatcherHost {
  readonly fleet: Fleet;
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly evidence: Evidence;
  /** Brings entities without a version to one that works. */
  rescue(): Promise<void>;
}

/** Has batches processed: one message per version, and again for whoever was with a version that broke at it. */
export class Batcher {
  private readonly host: BatcherHost;

  constructor(host: BatcherHost) {
    this.host = host;
  }

  async run(batch: BatchDraft): Promise<BatchResult> {
    const { entities } = batch;
    const assembly = new Assembly(entities.length);
    const isDone = new Uint8Array(entities.length);
    const failed = new Set<string>();
    const byVersion: Record<string, number> = {};
    let processedCount = 0;
    // What is to be done: places of the batch. Each round that is not the last takes a version out of service.
    let todo: readonly number[] = entities.map((_, index) => index);
    if (entities.some(({ owner }) => owner === null)) await this.host.rescue();
    for (let round = 0; todo.length > 0; round += 1) {
      const parts = this.send(batch, todo, round);
      const answers = await Promise.all(parts.map(async (part) => ({ part, asked: await part.asked })));
      todo = [];
      for (const { part, asked } of answers) {
        if (!asked.ok) continue;
        const { entry, places } = part;
        assembly.scatter(asked.answer.columns, places);
        for (const place of places) isDone[place] = 1;
        for (const index of asked.answer.failed) failed.add((part.entities[index] as Entity).name);
        processedCount += part.entities.length;
        byVersion[entry.name] = (byVersion[entry.name] ?? 0) + part.entities.length;
        this.took(part, asked.answer, asked.heapBytes);
      }
      for (const { part, asked } of answers) {
        if (asked.ok) continue;
        this.report(part, () => true);
        this.host.fleet.broke(part.entry, asked.failure, part.sentAt);
        todo = [...todo, ...part.places];
      }
      if (todo.length > 0) await this.host.rescue();
    }
    for (const [place, { name }] of entities.entries()) if (isDone[place] === 0) failed.add(name);
    return { processedCount, failed: [...failed], columns: assembly.result, byVersion };
  }

  /** Sends each version its part. Whoever has no version is left out. */
  private send(batch: BatchDraft, todo: readonly number[], round: number): readonly Part[] {
    const { fleet, options, clock } = this.host;
    const parts: Part[] = [];
    for (const [owner, those] of groupBy(todo, (place) => batch.entities[place]?.owner ?? null)) {
      const entry = owner === null ? undefined : fleet.entries.get(owner);
      if (entry === undefined || entry.thread === null) continue;
      const isWhole = batch.scope === "all" && those.length === entry.members.length;
      const entities = isWhole ? [...entry.members] : those.map((place) => batch.entities[place] as Entity);
      const places = isWhole ? Uint32Array.from(entities, ({ index }) => index) : Uint32Array.from(those);
      const slots = isWhole ? null : Uint32Array.from(entities, ({ name }) => entry.roster.slotOf(name) ?? 0);
      const now = clock.monotonic();
      const isDue = now - entry.checkpointAt >= options.checkpointEveryMs;
      // After a rescue the states of some are a batch ahead of the others: a checkpoint at once makes them even.
      const checkpoint = isDue || round > 0;
      const request = {
        type: "process",
        input: batch.input,
        slots,
        columns: gather(batch.columns, places),
        checkpoint,
      } as const;
      try {
        parts.push({
          entry,
          entities,
          places,
          sentAt: now,
          asked: entry.thread.ask<"process">(request, options.limits.deadlineMs),
        });
      } catch (error) {
        // What cannot be cloned is the same for all; only where it is in a column it may come up late, and then it stays out.
        if (parts.length === 0 || !(error instanceof VersionError)) throw error;
      }
    }
    return parts;
  }

  private took(part: Part, { failed, processMs, states }: Processed, heapBytes: number): void {
    const { options, clock, fleet } = this.host;
    const { entry, entities } = part;
    const now = clock.monotonic();
    entry.heapBytes = heapBytes;
    entry.batchCount += 1;
    entry.processedCount += entities.length;
    entry.times.add(processMs);
    entry.outcomes = addOutcomes(entry.outcomes, { processed: entities.length, failed: failed.length }, now);
    if (states !== null) keep(entry, states, now);
    const failures = new Set(failed);
    this.report(part, (index) => failures.has(index));
    if (isTripped(entry.outcomes, options.limits.maxErrorRate)) {
      const percent = Math.round(entry.errorRate * 1_000) / 10;
      fleet.condemn(entry, { code: "error_rate", message: `${percent} % of what it processed in 10 s failed.` });
    }
  }

  private report({ entry, entities, sentAt }: Part, isFailed: (index: number) => boolean): void {
    const latencyMs = this.host.clock.monotonic() - sentAt;
    this.host.evidence.report({ version: entry.name, entities: entities.map(({ name }) => name), isFailed, latencyMs });
  }
}

/** Keeps the states that a version has answered, in the order of its roster. */
export function keep(entry: VersionEntry, states: readonly unknown[], now: number): void {
  for (const [slot, entity] of entry.members.entries()) entity.backup = { version: entry.name, state: states[slot] };
  entry.checkpointBatch = entry.batchCount;
  entry.checkpointAt = now;
}

/** Whether anything was processed since states were kept. */
export function isUnsaved(entry: VersionEntry): boolean {
  return hasThread(entry.life) && entry.batchCount > entry.checkpointBatch;
}
