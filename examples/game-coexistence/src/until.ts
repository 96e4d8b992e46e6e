/** Asks again and again until the answer is yes. What it waits for is in other processes or threads. */
export async function until(what: string, withinMs: number, probe: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await probe())) {
    if (performance.now() > deadline) throw new Error(`Waited ${withinMs / 1_000} s in vain: ${what}`);
    await pause(10);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
