/**
 * A 32-bit checksum of anything that can be cloned between threads: equal for values that are deeply equal, whatever the order
 * of an object's keys or a set's members. It finds accidents and not adversaries: one damaged state in 2^32 goes unnoticed.
 */
export function checksumOf(value: unknown): number {
  return new Walk().of(value);
}

const TAG = {
  nothing: 1,
  truth: 2,
  number: 3,
  text: 4,
  big: 5,
  list: 6,
  record: 7,
  map: 8,
  set: 9,
  bytes: 10,
  date: 11,
  again: 12,
};

class Walk {
  private readonly double = new Float64Array(1);
  private readonly words = new Uint32Array(this.double.buffer);
  /** Objects on the way here, so that a circle ends. */
  private readonly path: object[] = [];

  of(value: unknown): number {
    switch (typeof value) {
      case "number":
        this.double[0] = value;
        return mix(mix(TAG.number, this.words[0] as number), this.words[1] as number);
      case "string":
        return mix(TAG.text, ofText(value));
      case "boolean":
        return mix(TAG.truth, value ? 1 : 0);
      case "bigint":
        return mix(TAG.big, ofText(String(value)));
      case "object":
        return value === null ? mix(TAG.nothing, 0) : this.ofObject(value);
      case "undefined":
      case "function":
      case "symbol":
        return mix(TAG.nothing, 1);
    }
  }

  private ofObject(value: object): number {
    const depth = this.path.indexOf(value);
    if (depth >= 0) return mix(TAG.again, this.path.length - depth);
    this.path.push(value);
    const sum = this.ofContents(value);
    this.path.pop();
    return sum;
  }

  private ofContents(value: object): number {
    if (Array.isArray(value))
      return value.reduce<number>((sum, item) => mix(sum, this.of(item)), mix(TAG.list, value.length));
    if (ArrayBuffer.isView(value)) return ofBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    if (value instanceof ArrayBuffer) return ofBytes(new Uint8Array(value));
    if (value instanceof Date) return mix(TAG.date, this.of(value.getTime()));
    // Sums of well mixed parts do not depend on their order.
    if (value instanceof Map) {
      let sum = 0;
      for (const [key, item] of value) sum = (sum + mix(this.of(key), this.of(item))) | 0;
      return mix(mix(TAG.map, value.size), sum);
    }
    if (value instanceof Set) {
      let sum = 0;
      for (const item of value) sum = (sum + finalise(this.of(item))) | 0;
      return mix(mix(TAG.set, value.size), sum);
    }
    let sum = 0;
    const entries = Object.entries(value);
    for (const [key, item] of entries) sum = (sum + mix(ofText(key), this.of(item))) | 0;
    return mix(mix(TAG.record, entries.length), sum);
  }
}

function ofBytes(bytes: Uint8Array): number {
  let sum = mix(TAG.bytes, bytes.length);
  const whole = bytes.length & ~3;
  for (let index = 0; index < whole; index += 4) {
    const [a = 0, b = 0, c = 0, d = 0] = [bytes[index], bytes[index + 1], bytes[index + 2], bytes[index + 3]];
    sum = mix(sum, a | (b << 8) | (c << 16) | (d << 24));
  }
  for (let index = whole; index < bytes.length; index += 1) sum = mix(sum, bytes[index] as number);
  return sum;
}

function ofText(text: string): number {
  let sum = text.length;
  for (let index = 0; index < text.length; index += 1) sum = Math.imul(sum ^ text.charCodeAt(index), PRIME);
  return finalise(sum);
}

/** Order counts, and single bits spread. */
function mix(sum: number, word: number): number {
  return finalise(Math.imul(sum, PRIME) ^ word);
}

/** Of FNV-1a for 32 bits (Fowler, Noll, Vo). */
const PRIME = 0x01000193;

/**
 * fmix32 of MurmurHash3 (Austin Appleby, public domain). The engine has it too, but brings patterns, versions and addresses
 * along: every thread would load what none of them uses.
 */
function finalise(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
