import { isUnsaved, keep } from "./batcher.ts";
import type { FailureGauges } from "./failure-gauges.ts";
import type { Fleet } from "./fleet.ts";
import { decideCollection, unusedSince } from "./health/collection.ts";
import { BEFORE_PROMOTION, decidePromotion, type Health } from "./health/promotion.ts";
import { isServing } from "./lifecycle/version-life.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Cancel, Clock, Scheduler } from "./ports.ts";
import type { Rescue } from "./rescue.ts";
import type { Routes } from "./routes.ts";
import type { TrafficSplit } from "./routing/source.ts";
import type { Turns } from "./turns.ts";
import type { VersionEntry } from "./version-entry.ts";

export interface UpkeepHost {
  readonly fleet: Fleet;
  readonly routes: Routes;
  readonly rescue: Rescue;
  readonly turns: Turns;
  readonly failures: FailureGauges;
  readonly options: ResolvedOptions;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** Whether no batch waits or is under way. */
  isIdle(): boolean;
  promote(split: TrafficSplit): void;
}

/** What is looked at from time to time: states that are not kept yet, versions that nobody uses, steps that are due. */
export class Upkeep {
  /** Null: nothing is collected. */
  unusedThresholdMs: number | null;
  private readonly host: UpkeepHost;
  private promotion = BEFORE_PROMOTION;
  private cancel: Cancel = () => {};

  constructor(host: UpkeepHost) {
    this.host = host;
    this.unusedThresholdMs = host.options.unusedThresholdMs;
    this.later();
  }

  stop(): void {
    this.cancel();
  }

  private later(): void {
    const { scheduler, options, turns, failures } = this.host;
    this.cancel = scheduler.after(options.limits.maintenanceMs, () => {
      if (!turns.isOpen) return;
      this.later();
      failures.repeat();
      if (this.host.isIdle()) turns.takeUnasked(() => this.saveIdle());
      turns.takeUnasked(() => this.collect());
      this.promote();
    });
  }

  /** Keeps the states of versions that have come to rest after their last checkpoint. */
  private async saveIdle(): Promise<void> {
    const { fleet, rescue, options, clock } = this.host;
    const now = clock.monotonic();
    for (const entry of fleet.entries.values()) {
      const isDue = now - entry.checkpointAt >= options.checkpointEveryMs;
      if (!isUnsaved(entry) || !isDue || entry.thread === null) continue;
      const asked = await entry.thread.ask<"checkpoint">({ type: "checkpoint" }, options.limits.deadlineMs);
      if (asked.ok) keep(entry, asked.answer.states, clock.monotonic());
      else await rescue.emergency(entry, asked.failure);
    }
  }

  private async collect(): Promise<void> {
    const { fleet, routes, clock } = this.host;
    const now = clock.monotonic();
    const usages = [...fleet.entries.values()].map((entry) => {
      const usage = {
        version: entry.name,
        isServing: isServing(entry.life),
        entityCount: entry.members.length,
        trafficPercent: routes.percentOf(entry.name),
        unusedSince: entry.unusedSince,
      };
      entry.unusedSince = unusedSince(usage, now);
      return { ...usage, unusedSince: entry.unusedSince };
    });
    if (this.unusedThresholdMs === null) return;
    for (const version of decideCollection(usages, { thresholdMs: this.unusedThresholdMs, now })) {
      const entry = fleet.get(version);
      fleet.retire(entry);
      await fleet.emptied(entry, "collected");
    }
  }

  private promote(): void {
    const { fleet, options, clock } = this.host;
    const plan = options.promotion;
    if (plan === null || !fleet.isReady(plan.canary) || !fleet.isReady(plan.baseline)) {
      this.promotion = { ...this.promotion, passingSince: null };
      return;
    }
    const verdict = decidePromotion(plan, this.promotion, {
      canary: healthOf(fleet.get(plan.canary)),
      baseline: healthOf(fleet.get(plan.baseline)),
      maxErrorRate: options.limits.maxErrorRate,
      now: clock.monotonic(),
    });
    this.promotion = verdict.state;
    if (verdict.kind === "promote") this.host.promote(verdict.split);
  }
}

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
