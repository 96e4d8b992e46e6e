import type { Cancel, Scheduler } from "./ports.ts";

/** The timers of one owner, by name: at most one of each, and none left when the owner goes. */
export interface Timers<Name extends string> {
  /** Replaces the timer of this name. */
  set(name: Name, delayMs: number, task: () => void): void;
  has(name: Name): boolean;
  clear(name: Name): void;
  /** Clears all and takes no more: the owner is gone. */
  end(): void;
}

export function createTimers<Name extends string>(scheduler: Scheduler): Timers<Name> {
  const waiting = new Map<Name, Cancel>();
  let ended = false;
  const clear = (name: Name): void => {
    waiting.get(name)?.();
    waiting.delete(name);
  };
  return {
    set(name, delayMs, task) {
      clear(name);
      if (ended) return;
      const cancel = scheduler.after(delayMs, () => {
        waiting.delete(name);
        task();
      });
      waiting.set(name, cancel);
    },
    has: (name) => waiting.has(name),
    clear,
    end() {
      ended = true;
      for (const cancel of waiting.values()) cancel();
      waiting.clear();
    },
  };
}
