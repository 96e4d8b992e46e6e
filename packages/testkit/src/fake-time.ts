/** A clock and a scheduler that move only when the test says so. Fits the Clock and Scheduler ports of server and SDK. */
export interface FakeTime {
  readonly clock: { now(): number; monotonic(): number };
  readonly scheduler: {
    after(delayMs: number, task: () => void): () => void;
    every(intervalMs: number, task: () => void): () => void;
    soon(task: () => void): void;
  };
  /** Runs everything that falls due within the next `ms`, in order of time, then of scheduling. */
  advance(ms: number): void;
  /** Like {@link advance}, letting promises settle after each task. */
  advanceAsync(ms: number): Promise<void>;
  /** Moves the wall clock alone, as an administrator or NTP would. */
  jumpWallClock(ms: number): void;
  /** Tasks that wait, for tests that look for leaks. */
  readonly pending: number;
}

interface Task {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export function createFakeTime(startsAt: number = Date.UTC(2026, 0, 1)): FakeTime {
  let elapsed = 0;
  let wallOffset = startsAt;
  let order = 0;
  const tasks = new Set<Task>();

  const schedule = (delayMs: number, run: () => void): Task => {
    const task = { at: elapsed + Math.max(0, delayMs), order: order++, run };
    tasks.add(task);
    return task;
  };
  const next = (until: number): Task | undefined => {
    let first: Task | undefined;
    for (const task of tasks) {
      if (task.at > until) continue;
      if (!first || task.at < first.at || (task.at === first.at && task.order < first.order)) first = task;
    }
    return first;
  };
  const runNext = (until: number): boolean => {
    const task = next(until);
    if (!task) return false;
    tasks.delete(task);
    elapsed = Math.max(elapsed, task.at);
    task.run();
    return true;
  };

  return {
    clock: { now: () => wallOffset + elapsed, monotonic: () => elapsed },
    scheduler: {
      after(delayMs, run) {
        const task = schedule(delayMs, run);
        return () => void tasks.delete(task);
      },
      every(intervalMs, run) {
        let current: Task;
        const repeat = (): void => {
          current = schedule(intervalMs, repeat);
          run();
        };
        current = schedule(intervalMs, repeat);
        return () => void tasks.delete(current);
      },
      soon: (run) => void schedule(0, run),
    },
    advance(ms) {
      const until = elapsed + ms;
      while (runNext(until));
      elapsed = until;
    },
    async advanceAsync(ms) {
      const until = elapsed + ms;
      await settle();
      while (runNext(until)) await settle();
      elapsed = until;
    },
    jumpWallClock(ms) {
      wallOffset += ms;
    },
    get pending() {
      return tasks.size;
    },
  };
}

/** A macrotask turn: every promise chain that does not wait for I/O has run to its end. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
