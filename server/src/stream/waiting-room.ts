import type { Cancel, Scheduler } from "../ports.ts";

/** Requests that wait for something. There is room for a limited number; the others do not wait, they are answered at once. */
export class WaitingRoom {
  readonly #scheduler: Scheduler;
  readonly #places: number;
  readonly #leaving = new Set<() => void>();

  constructor(scheduler: Scheduler, places: number) {
    this.#scheduler = scheduler;
    this.#places = places;
  }

  get waiting(): number {
    return this.#leaving.size;
  }

  /**
   * Resolves when what `subscribe` was given is called, after `waitMs`, when the signal is aborted, or when the room is
   * closed; at once if it is full.
   */
  wait(waitMs: number, signal: AbortSignal | undefined, subscribe: (done: () => void) => Cancel): Promise<void> {
    if (waitMs <= 0 || this.#leaving.size >= this.#places || signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      let cancels: readonly Cancel[] = [];
      let over = false;
      const leave = (): void => {
        over = true;
        this.#leaving.delete(leave);
        signal?.removeEventListener("abort", leave);
        for (const cancel of cancels) cancel();
        resolve();
      };
      this.#leaving.add(leave);
      signal?.addEventListener("abort", leave);
      cancels = [subscribe(leave), this.#scheduler.after(waitMs, leave)];
      if (over) for (const cancel of cancels) cancel(); // subscribe called back at once
    });
  }

  /** Sends everybody away. */
  clear(): void {
    for (const leave of this.#leaving) leave(); // each takes itself out of the set
  }
}
