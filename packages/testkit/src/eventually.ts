export interface Patience {
  /** How long to go on asking. @default 10_000 */
  readonly withinMs?: number;
  /** Pause between two questions. @default 10 */
  readonly everyMs?: number;
  /** What is waited for, in domain words: heads the error when it does not come. */
  readonly what?: string;
}

/**
 * Asks `probe` until it answers with something truthy, and returns that. For conditions in another process or behind a
 * socket, which no promise announces; wherever an event or a promise exists, await that instead.
 */
export async function eventually<Answer>(
  probe: () => Answer | Promise<Answer>,
  { withinMs = 10_000, everyMs = 10, what = "the awaited condition" }: Patience = {},
): Promise<Exclude<Answer, false | 0 | "" | null | undefined>> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      last = await probe();
      if (last) return last as Exclude<Answer, false | 0 | "" | null | undefined>;
    } catch (error) {
      last = error; // A server that is not there yet refuses connections: ask again, and show this if it never comes.
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${withinMs} ms in vain for ${what}. Last answer: ${inWords(last)}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function inWords(answer: unknown): string {
  if (answer instanceof Error) return answer.cause instanceof Error ? `${answer}, ${answer.cause}` : `${answer}`;
  return JSON.stringify(answer) ?? String(answer);
}
