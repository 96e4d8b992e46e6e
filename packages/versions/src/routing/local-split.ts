import { allocate, BUCKET_COUNT, finalise, hashBucketingKey, toSortedRanges } from "@bunting/engine";
import type { Placement } from "@bunting/sdk";
import { VersionError } from "../errors.ts";
import type { SplitControl, SplitSource, TrafficSplit } from "./source.ts";

/** A flag's salt keeps it apart from other flags; here there are none. */
const SALT = 0;

type Allocation = ReturnType<typeof allocate>;
type Weights = Parameters<typeof allocate>[1];

/**
 * A split that only this process knows, bucketed as a flag's is: the same allocation, with the same history.
 *
 * @param versions Asked again at each change: versions may be declared later.
 */
export function createLocalSplit(versions: () => readonly string[], initial: TrafficSplit): SplitSource & SplitControl {
  const listeners = new Set<() => void>();
  const pins = new Map<string, string>();
  let percentages = checkSplit(initial, versions());
  let allocation: Allocation = allocate(null, weightsOf(percentages, versions()));
  let ranges = toSortedRanges(allocation);
  const changed = (): Promise<void> => {
    for (const listener of listeners) listener();
    return Promise.resolve();
  };
  const setSplit = (split: TrafficSplit): Promise<void> => {
    percentages = checkSplit(split, versions());
    allocation = allocate(allocation, weightsOf(percentages, versions()));
    ranges = toSortedRanges(allocation);
    return changed();
  };
  return {
    place(entity): Placement {
      const pinned = pins.get(entity);
      if (pinned !== undefined) return { variant: pinned, detail: "pin", split: null };
      const position = finalise(hashBucketingKey(entity) ^ SALT) >>> 0;
      const bucket = Math.floor((position * BUCKET_COUNT) / 2 ** 32);
      const variant = ranges.find(([, , to]) => bucket < to)?.[0] ?? null;
      return { variant, detail: "fallthrough", split: { position, ranges } };
    },
    split: () => percentages,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    setSplit: (split) => setSplit(split),
    serve: (version) => setSplit({ [version]: 100 }),
    pin(entity, version) {
      if (version === null) pins.delete(entity);
      else pins.set(entity, version);
      return changed();
    },
  };
}

/** @throws VersionError `split_invalid` */
export function checkSplit(split: TrafficSplit, versions: readonly string[]): TrafficSplit {
  const stranger = Object.keys(split).find((version) => !versions.includes(version));
  if (stranger !== undefined) {
    throw new VersionError(
      "split_invalid",
      `Cannot split to "${stranger}": known versions are ${versions.join(", ")}.`,
    );
  }
  const buckets = Object.values(split).map(toBuckets);
  const isWhole = buckets.every((count) => Number.isInteger(count) && count >= 0);
  if (!isWhole || buckets.reduce((sum, count) => sum + count, 0) !== BUCKET_COUNT) {
    throw new VersionError(
      "split_invalid",
      `Cannot split by ${JSON.stringify(split)}: percentages are from 0 to 100, with three decimals at most, and add up to 100.`,
    );
  }
  return { ...split };
}

function weightsOf(split: TrafficSplit, versions: readonly string[]): Weights {
  // The engine's keys are branded by the contracts; a local split has names of its own.
  return versions.map((version) => [version, toBuckets(split[version] ?? 0)]) as unknown as Weights;
}

/** 0.001 % is a bucket; anything finer stays a fraction. */
function toBuckets(percent: number): number {
  const exact = percent * (BUCKET_COUNT / 100);
  const rounded = Math.round(exact);
  return Math.abs(exact - rounded) < 1e-6 ? rounded : exact;
}
