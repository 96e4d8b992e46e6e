import type { Scheduler } from "../ports.ts";

export type Visit<Item> = (item: Item) => void;

interface Pass<Item> {
  readonly visit: Visit<Item>;
  next: number;
}

/**
 * Walks over all connections in chunks with the event loop in between: one pass over ten thousand sockets without a pause
 * would stall everything else for a fifth of a second, and takes no less time until the last. Urgent passes go before the
 * ordered one, which continues where it was.
 *
 * The list may grow during a pass (whoever joins has been given the head, so visiting it is harmless) but must not be
 * reordered or shortened while `running`.
 */
export class Broadcast<Item> {
  readonly #items: readonly Item[];
  readonly #chunk: number;
  readonly #scheduler: Scheduler;
  /** The next ordered pass, or null if nothing is waiting. Asked only when the one before has ended. */
  readonly #takeOrdered: () => Visit<Item> | null;
  readonly #urgent: Pass<Item>[] = [];
  #ordered: Pass<Item> | null = null;
  #scheduled = false;

  constructor(
    items: readonly Item[],
    options: { readonly chunk: number; readonly scheduler: Scheduler; readonly takeOrdered: () => Visit<Item> | null },
  ) {
    this.#items = items;
    this.#chunk = options.chunk;
    this.#scheduler = options.scheduler;
    this.#takeOrdered = options.takeOrdered;
  }

  get running(): boolean {
    return this.#scheduled;
  }

  /** Visits everybody ahead of whatever is running. The first chunk is visited before this returns. */
  urge(visit: Visit<Item>): void {
    this.#urgent.push({ visit, next: 0 });
    this.#step();
  }

  /** Says that an ordered pass is waiting. Begins it before this returns, unless another is running. */
  wake(): void {
    if (!this.#scheduled) this.#step();
  }

  #step(): void {
    const pass = this.#urgent[0] ?? this.#orderedPass();
    if (!pass) return;
    const end = Math.min(pass.next + this.#chunk, this.#items.length);
    try {
      while (pass.next < end) {
        const item = this.#items[pass.next];
        // Before the visit: one that throws is not visited again, or nobody behind it would hear anything any more.
        pass.next += 1;
        if (item !== undefined) pass.visit(item);
      }
    } finally {
      if (pass.next >= this.#items.length) this.#finish(pass);
      this.#schedule();
    }
  }

  #orderedPass(): Pass<Item> | null {
    if (this.#ordered) return this.#ordered;
    const visit = this.#takeOrdered();
    this.#ordered = visit && { visit, next: 0 };
    return this.#ordered;
  }

  #finish(pass: Pass<Item>): void {
    if (pass === this.#ordered) this.#ordered = null;
    else this.#urgent.shift();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.soon(() => {
      this.#scheduled = false;
      this.#step();
    });
  }
}
