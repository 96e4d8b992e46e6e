import { BUCKET_COUNT } from "@bunting/contracts/literals";

/*
 * MurmurHash3_x86_32 by Austin Appleby (public domain, https://github.com/aappleby/smhasher), seed 0, over UTF-8.
 *
 * Everything is int32: `>>> 0` would make half of the hashes too large for a small integer, and V8 then boxes them on the
 * heap whenever a call is not inlined.
 */

/** By its bare name, which is a third fewer bytecodes than `Math.imul`: what is inlined into an evaluation has a budget of them. */
const { imul } = Math;

const C1 = 0xcc9e2d51 | 0;
const C2 = 0x1b873593;
const ROUND = 0xe6546b64 | 0;

/** The hash of a bucketing key, as int32 (EV-52). The same for every flag, so it is computed once per user. */
export function hashBucketingKey(text: string): number {
  const length = text.length;
  const blocks = length & ~3;
  let hash = 0;
  let units = 0;
  let index = 0;
  // In ASCII a UTF-16 unit is a UTF-8 byte; whether all units were ASCII is looked at once, after the walk. The mixing is
  // spelled out: as calls of their own, these steps use up the compiler's budget for inlining, at twice the time. Nearly all
  // of the time is `charCodeAt`, which asks each time anew how the string is stored.
  for (; index < blocks; index += 4) {
    const a = text.charCodeAt(index);
    const b = text.charCodeAt(index + 1);
    const c = text.charCodeAt(index + 2);
    const d = text.charCodeAt(index + 3);
    units |= a | b | c | d;
    const product = imul(a | (b << 8) | (c << 16) | (d << 24), C1);
    hash ^= imul((product << 15) | (product >>> 17), C2);
    hash = (imul((hash << 13) | (hash >>> 19), 5) + ROUND) | 0;
  }
  if (units > 0x7f) return hashUtf8(text);
  return length === blocks ? finalise(hash ^ length) : hashTail(text, hash);
}

/** The last one to three units. A function of its own, so that keys without them carry less code along. */
function hashTail(text: string, hash: number): number {
  const { length } = text;
  let units = 0;
  let tail = 0;
  for (let index = length & ~3, shift = 0; index < length; index += 1, shift += 8) {
    const unit = text.charCodeAt(index);
    units |= unit;
    tail |= unit << shift;
  }
  return units > 0x7f ? hashUtf8(text) : finalise(hash ^ scramble(tail) ^ length);
}

/** A flag's place for a user: 0 to 99,999 (EV-53). `salt` may be given as uint32 or as int32. */
export function bucketOf(hash: number, salt: number): number {
  // 2^32 * 100,000 < 2^53, so the product is exact and the quotient too; `| 0` is floor for numbers >= 0.
  return (((finalise(hash ^ salt) >>> 0) * BUCKET_COUNT) / 2 ** 32) | 0;
}

/** Bytes of the text in UTF-8, lone surrogates counted as U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (isPairAt(text, index, unit)) {
      bytes += 2;
      index += 1;
    } else bytes += 2;
  }
  return bytes;
}

/** Remembers the last bucketing key and its hash: a request evaluates many flags for one user. */
export interface Hasher {
  hash(key: string): number;
  /** What {@link hash} answered last. */
  readonly lastHash: number;
}

export function createHasher(): Hasher {
  return new LastKeyHasher();
}

class LastKeyHasher implements Hasher {
  lastHash = 0;
  private lastKey = "";
  private lastUnit = 0;

  hash(key: string): number {
    // Another user's key mostly shows at its last character, sooner than by a call that compares the texts.
    const unit = key.charCodeAt(key.length - 1) | 0;
    if (unit === this.lastUnit && key === this.lastKey) return this.lastHash;
    const hash = hashBucketingKey(key);
    this.lastKey = key;
    this.lastUnit = unit;
    this.lastHash = hash;
    return hash;
  }
}

/** The slow path: encodes on the fly, byte by byte, so that it needs no buffer and no TextEncoder. */
function hashUtf8(text: string): number {
  const state = { hash: 0, block: 0, bytes: 0 };
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) {
      takeByte(state, unit);
    } else if (unit < 0x800) {
      takeByte(state, 0xc0 | (unit >> 6));
      takeByte(state, 0x80 | (unit & 0x3f));
    } else if (isPairAt(text, index, unit)) {
      index += 1;
      const point = 0x10000 + ((unit & 0x3ff) << 10) + (text.charCodeAt(index) & 0x3ff);
      takeByte(state, 0xf0 | (point >> 18));
      takeByte(state, 0x80 | ((point >> 12) & 0x3f));
      takeByte(state, 0x80 | ((point >> 6) & 0x3f));
      takeByte(state, 0x80 | (point & 0x3f));
    } else {
      const point = unit >= 0xd800 && unit <= 0xdfff ? 0xfffd : unit;
      takeByte(state, 0xe0 | (point >> 12));
      takeByte(state, 0x80 | ((point >> 6) & 0x3f));
      takeByte(state, 0x80 | (point & 0x3f));
    }
  }
  if ((state.bytes & 3) !== 0) state.hash ^= scramble(state.block);
  return finalise(state.hash ^ state.bytes);
}

function takeByte(state: { hash: number; block: number; bytes: number }, byte: number): void {
  state.block |= byte << ((state.bytes & 3) << 3);
  state.bytes += 1;
  if ((state.bytes & 3) !== 0) return;
  state.hash = mixBlock(state.hash, state.block);
  state.block = 0;
}

function isPairAt(text: string, index: number, unit: number): boolean {
  return (unit & 0xfc00) === 0xd800 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
}

function mixBlock(hash: number, block: number): number {
  const mixed = hash ^ scramble(block);
  return (imul((mixed << 13) | (mixed >>> 19), 5) + ROUND) | 0;
}

function scramble(block: number): number {
  const product = imul(block, C1);
  return imul((product << 15) | (product >>> 17), C2);
}

/** murmur3's fmix32, int32 to int32: each bit of the result depends on each bit of the argument, and none is lost. */
export function finalise(hash: number): number {
  let mixed = hash ^ (hash >>> 16);
  mixed = imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
