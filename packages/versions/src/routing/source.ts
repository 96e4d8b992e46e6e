import type { Placement } from "@bunting/sdk";

/** Percent by version; together 100. */
export type TrafficSplit = Readonly<Record<string, number>>;

/** Where the split comes from: a flag, or this process. */
export interface SplitSource {
  place(entity: string): Placement;
  /** Percent by variant of those whom no rule and no pin is for; null where one variant serves everybody. */
  split(): TrafficSplit;
  /** Calls the listener whenever {@link place} may answer something else. */
  onChange(listener: () => void): () => void;
}

/** What may change the split. Each answers when the source has the change. */
export interface SplitControl {
  setSplit(split: TrafficSplit, reason: string): Promise<void>;
  /** Serves one version to everybody but those who are pinned. */
  serve(version: string, reason: string): Promise<void>;
  /** Null: as the split says. */
  pin(entity: string, version: string | null, reason: string): Promise<void>;
}
