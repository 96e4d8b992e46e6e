/** Spreads connections evenly over the seconds of a heartbeat interval, so that ten thousand heartbeats never stall the loop. */
export class HeartbeatSlots<Item> {
  readonly #slots: readonly Set<Item>[];
  readonly #slotOf = new Map<Item, Set<Item>>();
  #current = 0;

  constructor(count: number) {
    this.#slots = Array.from({ length: count }, () => new Set<Item>());
  }

  /** Joins the smallest slot: after a storm of reconnects they would otherwise stay as uneven as the storm was. */
  add(item: Item): void {
    let smallest = this.#slots[0] ?? new Set<Item>();
    for (const slot of this.#slots) if (slot.size < smallest.size) smallest = slot;
    smallest.add(item);
    this.#slotOf.set(item, smallest);
  }

  delete(item: Item): void {
    this.#slotOf.get(item)?.delete(item);
    this.#slotOf.delete(item);
  }

  /** Whose turn it is now. Called once a second. */
  next(): ReadonlySet<Item> {
    const slot = this.#slots[this.#current] ?? new Set<Item>();
    this.#current = (this.#current + 1) % this.#slots.length;
    return slot;
  }
}
