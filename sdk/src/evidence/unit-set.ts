/** What {@link UnitSet.add} found. */
export const SEEN = 0;
export const FIRST = 1;
export const UNCHECKED = 2;

/**
 * Units that a set tells apart: in an interval of ten seconds nearly all of a process that serves a thousand requests per
 * second. Further ones count without a look.
 */
export const UNIT_LIMIT = 8_192;

const LEAST_SLOTS = 64;
/** A quarter full: looks at units that are not there end soonest, and from the limit on that is most of them. */
const SLOTS_PER_UNIT = 4;
const MOST_SLOTS = SLOTS_PER_UNIT * UNIT_LIMIT;

/**
 * The units seen in an interval, as 32-bit hashes in open addressing: at most a quarter full, so that a look is one slot, seldom two,
 * and never above {@link UNIT_LIMIT}, so that memory has a bound whatever the traffic. Adding allocates nothing but when the
 * table doubles, which it does eight times at most.
 */
export class UnitSet {
  private slots = new Int32Array(LEAST_SLOTS);
  private count = 0;

  /**
   * `unit` is mixed beforehand: its bits are as good as random. Its low bits are its group, so the place is taken from above
   * them. A zero marks an empty slot; the unit of that hash shares the place of another, as any two units may.
   */
  add(unit: number): typeof SEEN | typeof FIRST | typeof UNCHECKED {
    const stored = unit === 0 ? 1 : unit;
    const { slots } = this;
    const mask = slots.length - 1;
    let index = (stored >>> 5) & mask;
    for (let found = slots[index]; found !== 0; found = slots[index]) {
      if (found === stored) return SEEN;
      index = (index + 1) & mask;
    }
    if (this.count === UNIT_LIMIT) return UNCHECKED;
    slots[index] = stored;
    this.count += 1;
    if (this.count * SLOTS_PER_UNIT > slots.length && slots.length < MOST_SLOTS) this.grow();
    return FIRST;
  }

  /**
   * Whether the unit is in the first place that is looked at, as seven of eight known ones are: short enough to be compiled into
   * an evaluation, where {@link add} is a call. False says nothing.
   */
  isAtHome(unit: number): boolean {
    const { slots } = this;
    return unit !== 0 && slots[(unit >>> 5) & (slots.length - 1)] === unit;
  }

  has(unit: number): boolean {
    const stored = unit === 0 ? 1 : unit;
    return this.slots[this.find(stored)] === stored;
  }

  /** Empties the set and keeps its table: the next interval has as many units as the last one. */
  clear(): void {
    this.slots.fill(0);
    this.count = 0;
  }

  /** Where the unit is, or would be put. */
  private find(stored: number): number {
    const { slots } = this;
    const mask = slots.length - 1;
    let index = (stored >>> 5) & mask;
    for (let found = slots[index]; found !== 0 && found !== stored; found = slots[index]) index = (index + 1) & mask;
    return index;
  }

  private grow(): void {
    const before = this.slots;
    this.slots = new Int32Array(before.length * 2);
    for (const stored of before) if (stored !== 0) this.slots[this.find(stored)] = stored;
  }
}
