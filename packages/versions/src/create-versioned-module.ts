import { hasThread } from "./lifecycle/version-life.ts";
import { ModuleRunner } from "./module-runner.ts";
import { resolveOptions, type VersionedModuleOptions } from "./options.ts";
import { nodePlatform } from "./platform/node.ts";
import type { VersionsPlatform } from "./ports.ts";
import type { VersionComparison, VersionedModule, VersionMetrics } from "./types.ts";

/**
 * Several versions of one module in this process, each in a worker thread of its own, with the entities divided between them
 * as a flag says.
 *
 * @example
 * const logic = createVersionedModule<{ deltaMs: number }>({
 *   flags,
 *   flag: "game-logic",
 *   versions: { v1: new URL("./v1.js", import.meta.url), v2: new URL("./v2.js", import.meta.url) },
 * });
 * await logic.addEntities([{ entity: "player-1", state: { x: 0, y: 0, vx: 1, vy: 1 } }]);
 * await logic.process({ deltaMs: 16 }); // one message per version, whatever the number of entities
 *
 * @throws TypeError for an option that is unknown or does not fit the others.
 */
export function createVersionedModule<Input = unknown>(options: VersionedModuleOptions): VersionedModule<Input> {
  return createVersionedModuleOn(nodePlatform(), options);
}

/** The same in another world: a simulation's. */
export function createVersionedModuleOn<Input = unknown>(
  platform: VersionsPlatform,
  options: VersionedModuleOptions,
): VersionedModule<Input> {
  const resolved = resolveOptions(options);
  const runner = new ModuleRunner(platform, resolved);
  const { fleet, population } = runner;
  const metricsOf = (version: string): VersionMetrics => {
    const entry = fleet.get(version);
    const { life, members, times, loadedAt } = entry;
    return {
      version,
      life: life.name,
      trafficPercent: population.size === 0 ? 0 : (members.length * 100) / population.size,
      entityCount: members.length,
      processedEntities: entry.processedCount,
      batchCount: entry.batchCount,
      avgProcessTimeMs: times.meanMs,
      p99ProcessTimeMs: times.p99Ms,
      errorRate: entry.errorRate,
      memoryUsageBytes: entry.heapBytes,
      uptimeSeconds: loadedAt === null ? 0 : (platform.clock.monotonic() - loadedAt) / 1_000,
    };
  };
  const loaded = (): readonly string[] =>
    [...fleet.entries.values()].filter(({ life }) => hasThread(life)).map(({ name }) => name);
  return {
    warm: () => fleet.warm(),
    async loadModuleVersion(version, url) {
      if (url !== undefined) fleet.declare(version, String(url));
      await runner.load(version);
    },
    unloadModuleVersion: async (version, { force = false } = {}) => await runner.unload(version, force),
    setTrafficSplit: (split, reason = "Set by the application") => runner.setSplit(split, reason),
    getTrafficSplit: () => runner.split(),
    migrateState: (from, to) => runner.migrate(from, to),
    rollback: (version, { maxDowntimeMs = 1_000, reason = `Rolled back to ${version}` } = {}) =>
      runner.rollback(version, maxDowntimeMs, reason),
    enableAutoGC(unusedThresholdSeconds = 60) {
      runner.upkeep.unusedThresholdMs = unusedThresholdSeconds * 1_000;
    },
    disableAutoGC() {
      runner.upkeep.unusedThresholdMs = null;
    },
    getLoadedVersions: loaded,
    isVersionLoaded: (version) => loaded().includes(version),
    getDependencies: (version) => fleet.get(version).dependencies,
    getVersionMetrics: metricsOf,
    compareVersions: (version, baseline) => compare(metricsOf(version), metricsOf(baseline)),
    reloadModuleVersion: (version, url) => runner.reload(version, url),
    async applyPatch(version, patch, { orReload } = {}) {
      if (await runner.ask(version, "patch", patch, orReload === undefined)) return null;
      return await runner.reload(version, orReload);
    },
    async updateConfig(config, { orReload = false } = {}) {
      fleet.config = config;
      const results = await Promise.allSettled(
        loaded().map(async (version) => {
          if (!(await runner.ask(version, "configure", config, !orReload))) await runner.reload(version);
        }),
      );
      const refused = results.find((result) => result.status === "rejected");
      if (refused !== undefined) throw refused.reason;
    },
    addEntities: async (drafts, { stateOf = resolved.oldest } = {}) => await runner.add(drafts, stateOf),
    removeEntities: (entities) => runner.remove(entities),
    pinEntity: (entity, version) => runner.pin(entity, version),
    entities: () => population.all().map(({ name }) => name),
    versionOf: (entity) => population.get(entity).owner,
    getState: (entities) => runner.states(entities ?? null),
    process: (input, processed = {}) => runner.process(input, processed),
    settled: () => runner.settled(),
    on: (name, listener) => runner.listeners.add(name, listener),
    close: () => runner.close(),
  };
}

function compare(version: VersionMetrics, baseline: VersionMetrics): VersionComparison {
  const [own, others] = [perEntityMs(version), perEntityMs(baseline)];
  return {
    version,
    baseline,
    processTimePercent: own === null || others === null || others === 0 ? null : (own / others - 1) * 100,
    errorRateDifference: version.errorRate - baseline.errorRate,
  };
}

function perEntityMs({ avgProcessTimeMs, batchCount, processedEntities }: VersionMetrics): number | null {
  return processedEntities === 0 ? null : (avgProcessTimeMs * batchCount) / processedEntities;
}
