import type { TelemetryBatch } from "@bunting/contracts";

/** Counts batches exactly once, as TE-2 says, in memory. */
export interface TelemetryStore {
  /** The sequence to acknowledge. */
  merge(batch: TelemetryBatch): number;
  durable(instance: string, boot: string): number;
  /** Exposures merged, reported as dropped and of unknown flags, all together. */
  readonly total: number;
  /** Exposures of one cell. */
  exposures(flag: string, variant: string): number;
  readonly batches: readonly TelemetryBatch[];
  /** As a restore of an old backup does. */
  forget(): void;
}

export function createTelemetryStore(): TelemetryStore {
  const stored = new Map<string, number>();
  const batches: TelemetryBatch[] = [];
  const name = (instance: string, boot: string): string => `${instance}\n${boot}`;
  return {
    batches,
    merge(batch) {
      const key = name(batch.instance, batch.boot);
      const last = stored.get(key);
      if (last === undefined ? true : batch.sequence === last + 1) {
        stored.set(key, batch.sequence);
        batches.push(batch);
        return batch.sequence;
      }
      return last ?? 0;
    },
    durable: (instance, boot) => stored.get(name(instance, boot)) ?? 0,
    get total() {
      let sum = 0;
      for (const { cells, unknown = [], dropped = 0 } of batches) {
        for (const cell of cells) sum += cell.exposures;
        for (const { evaluations } of unknown) sum += evaluations;
        sum += dropped;
      }
      return sum;
    },
    exposures: (flag, variant) =>
      batches
        .flatMap(({ cells }) => cells)
        .filter((cell) => cell.flag === flag && cell.variant === variant)
        .reduce((sum, cell) => sum + cell.exposures, 0),
    forget: () => stored.clear(),
  };
}
