import type { Scheduler } from "../ports.ts";

/** Lets what else the process has to do go on, and comes back. */
export function aTurn({ soon }: Pick<Scheduler, "soon">): Promise<void> {
  return new Promise((resolve) => soon(resolve));
}

/** Runs long work step by step: what else the process has to do goes on in between. */
export function inTurns<Result>(steps: Generator<unknown, Result>, { soon }: Pick<Scheduler, "soon">): Promise<Result> {
  return new Promise((resolve, reject) => {
    const step = (): void => {
      try {
        const { done, value } = steps.next();
        if (done) resolve(value);
        else soon(step);
      } catch (error) {
        reject(error);
      }
    };
    step();
  });
}
