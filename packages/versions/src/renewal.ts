import { VersionError } from "./errors.ts";
import type { FailureGauges } from "./failure-gauges.ts";
import type { Fleet } from "./fleet.ts";
import { isServing } from "./lifecycle/version-life.ts";
import { type Listeners, tellProblem } from "./listeners.ts";
import type { Mover } from "./mover.ts";
import type { Clock } from "./ports.ts";
import type { Rescue } from "./rescue.ts";
import type { Turns } from "./turns.ts";
import type { ReloadReport } from "./types.ts";

export interface RenewalHost {
  readonly fleet: Fleet;
  readonly mover: Mover;
  readonly rescue: Rescue;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly listeners: Listeners;
  readonly failures: FailureGauges;
  readonly deadlineMs: number;
}

/** New code, patches and configurations for versions that go on under their names. */
export class Renewal {
  private readonly host: RenewalHost;

  constructor(host: RenewalHost) {
    this.host = host;
  }

  /** A new thread behind the same version, swapped in between two batches. */
  async reload(version: string, url?: URL | string): Promise<ReloadReport> {
    const { fleet, mover, rescue, turns, clock, listeners, failures } = this.host;
    const entry = fleet.get(version);
    turns.checkOpen();
    const startedAt = clock.monotonic();
    const from = url === undefined ? entry.url : String(url);
    const loaded = isServing(entry.life) ? await fleet.prepare(entry, from) : null;
    if (loaded === null) throw new VersionError("version_not_loaded", `"${version}" is not loaded.`);
    if (!loaded.ok) {
      throw new VersionError(loaded.failure.code, `Cannot reload "${version}": ${loaded.failure.message}`);
    }
    const { thread } = loaded;
    const loadMs = clock.monotonic() - startedAt;
    try {
      return await turns.take(async () => {
        if (!isServing(entry.life)) {
          throw new VersionError("version_not_loaded", `"${version}" went out of service while it was loaded again.`);
        }
        const swapAt = clock.monotonic();
        const carried = await mover.carryOver(entry, thread);
        if (!carried.ok) {
          await rescue.rescue();
          throw new VersionError("migration_refused", `"${version}" stays what it was: ${carried.refusal}`);
        }
        const old = entry.thread;
        fleet.swap(entry, loaded, { url: from, states: carried.states });
        const downtimeMs = clock.monotonic() - swapAt;
        const entityCount = entry.members.length;
        const report = { version, entityCount, loadMs, downtimeMs, at: clock.now() };
        failures.mended(version);
        listeners.tell("reload", report);
        await old?.end();
        return report;
      });
    } finally {
      if (entry.thread !== thread) await thread.end();
    }
  }

  /** What builds on a module that has new code gets a new start too, and tells those that build on it in turn. */
  async reloadDependents(module: string): Promise<void> {
    const { fleet, listeners } = this.host;
    const dependents = [...fleet.entries.values()].filter(
      ({ life, dependencies }) => isServing(life) && dependencies.includes(module),
    );
    for (const { name } of dependents) {
      await this.reload(name).catch((error: unknown) => tellProblem(listeners, error, "load_failed"));
    }
  }

  /** @returns Whether it took the change. @throws VersionError `patch_refused` if it did not, where it `mustTake` it. */
  async ask(version: string, change: "patch" | "configure", value: unknown, mustTake: boolean): Promise<boolean> {
    const { fleet, rescue, turns, deadlineMs } = this.host;
    const entry = fleet.get(version);
    return await turns.take(async () => {
      const { thread } = entry;
      if (thread === null) throw new VersionError("version_not_loaded", `"${version}" is not loaded.`);
      const asked =
        change === "patch"
          ? await thread.ask<"patch">({ type: "patch", patch: value }, deadlineMs)
          : await thread.ask<"configure">({ type: "configure", config: value }, deadlineMs);
      if (!asked.ok) await rescue.emergency(entry, asked.failure);
      if (asked.ok && asked.answer) return true;
      if (!asked.ok || mustTake) {
        const reason = asked.ok ? "it answered false, or has no such function" : asked.failure.message;
        throw new VersionError("patch_refused", `"${version}" did not take the change: ${reason}.`);
      }
      return false;
    });
  }
}
