/**
 * The entities of one version, each at a slot. Host and thread keep one each and change them in the same order, so a batch
 * names nobody: it is about slots. What leaves is replaced by the last one, so slots have no gaps.
 */
export class Roster {
  readonly entities: string[] = [];
  private readonly slots = new Map<string, number>();
  private frozen: readonly string[] | null = null;

  /** The entities as they are now, for somebody who may keep them and might write into them. */
  snapshot(): readonly string[] {
    this.frozen ??= Object.freeze([...this.entities]);
    return this.frozen;
  }

  get size(): number {
    return this.entities.length;
  }

  has(entity: string): boolean {
    return this.slots.has(entity);
  }

  slotOf(entity: string): number | undefined {
    return this.slots.get(entity);
  }

  add(entity: string): void {
    if (this.slots.has(entity)) return;
    this.frozen = null;
    this.slots.set(entity, this.entities.length);
    this.entities.push(entity);
  }

  remove(entity: string): void {
    const slot = this.slots.get(entity);
    const last = this.entities.pop();
    if (last === undefined) return;
    if (slot === undefined) {
      this.entities.push(last);
      return;
    }
    this.frozen = null;
    this.slots.delete(entity);
    if (last === entity) return;
    this.entities[slot] = last;
    this.slots.set(last, slot);
  }
}
