import type { EnvironmentKey, Instance, Receipt } from "@bunting/contracts";

/** An instance as far as its connection tells. */
export type KnownInstance = Omit<Instance, "overridden"> & {
  /** Tells instances of one name apart, or of none: nobody is made to say who he is. */
  readonly session: string;
};

/** What the admin API asks of the stream: who is there, and who has applied what. */
export interface Delivery {
  /** Undefined if it is no longer kept, or the revision does not exist. */
  receipt(environment: EnvironmentKey, revision: number): Receipt | undefined;
  /**
   * Resolves when everyone connected at the commit has applied it, at the latest after `waitMs` or when `signal` is aborted, at
   * once while too many wait.
   */
  waitForReceipt(
    environment: EnvironmentKey,
    revision: number,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<Receipt | undefined>;
  instances(environment: EnvironmentKey): readonly KnownInstance[];
  connectedCount(environment: EnvironmentKey): number;
}
