import { BUCKET_COUNT } from "@bunting/contracts/literals";
import fc from "fast-check";
import murmurhash from "murmurhash";
import { describe, expect, it } from "vitest";
import { bucketOf, createHasher, hashBucketingKey, utf8Length } from "./bucket.ts";

/** Texts of any UTF-16 units: lone surrogates too, and mostly ones that matter to an encoder. */
const anyUnits = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0x7f }),
      fc.integer({ min: 0xd7fe, max: 0xe001 }),
      fc.constantFrom(0x7f, 0x80, 0x7ff, 0x800, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xfffd, 0xffff),
    ),
  )
  .map((units) => String.fromCharCode(...units));

const anyText = fc.oneof(anyUnits, fc.string(), fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }));

describe("EV-52 the hash of a key is murmur3_x86_32 of its UTF-8", () => {
  it("equals the reference for every text, lone surrogates included", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(hashBucketingKey(text) >>> 0).toBe(murmurhash.v3(text, 0));
      }),
      { numRuns: 3000 },
    );
  });

  it("equals the reference for every single unit and every length", () => {
    for (let unit = 0; unit <= 0xffff; unit += 1) {
      const text = String.fromCharCode(unit);
      if (hashBucketingKey(text) >>> 0 !== murmurhash.v3(text, 0)) expect.fail(`U+${unit.toString(16)}`);
    }
    for (let length = 0; length < 70; length += 1) {
      expect(hashBucketingKey("x".repeat(length)) >>> 0).toBe(murmurhash.v3("x".repeat(length), 0));
      expect(hashBucketingKey("é".repeat(length)) >>> 0).toBe(murmurhash.v3("é".repeat(length), 0));
    }
  });

  it("is an int32, so that it stays off the heap", () => {
    fc.assert(fc.property(anyText, (text) => hashBucketingKey(text) === (hashBucketingKey(text) | 0)));
  });

  it("stays the same through a hasher, whatever was asked before", () => {
    const hasher = createHasher();
    fc.assert(
      fc.property(
        fc.array(fc.oneof(anyText, fc.constantFrom("", "a", "b", "ab", "bb", "abab", "bbab", "\0")), { minLength: 1 }),
        (texts) => {
          for (const text of [...texts, texts[0] as string, texts[0] as string]) {
            expect(hasher.hash(text)).toBe(hashBucketingKey(text));
          }
        },
      ),
    );
  });
});

describe("EV-50 the length of a key is counted in bytes of UTF-8", () => {
  it("counts as an encoder writes", () => {
    const encoder = new TextEncoder();
    fc.assert(fc.property(anyText, (text) => utf8Length(text) === encoder.encode(text).length));
  });
});

describe("EV-53 the bucket is floor(h * 100000 / 2^32)", () => {
  it("equals the formula in exact arithmetic, for signed and unsigned arguments", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }), (hash, salt) => {
        const expected = Number((finalised(hash, salt) * BigInt(BUCKET_COUNT)) >> 32n);
        expect(bucketOf(hash, salt)).toBe(expected);
        expect(bucketOf(hash | 0, salt | 0)).toBe(expected);
      }),
    );
  });

  it("reaches every bucket and no other", () => {
    const seen = new Uint8Array(BUCKET_COUNT);
    for (let hash = 0; hash < 3_000_000; hash += 1) seen[bucketOf(hash, 0)] = 1;
    expect(seen.every((flag) => flag === 1)).toBe(true);
    expect(bucketOf(0, 0)).toBe(0);
  });
});

describe("EV-57 the assignments of two flags are independent", () => {
  const KEYS = 100_000;
  const hashes = Int32Array.from({ length: KEYS }, (_, index) => hashBucketingKey(`user-${index}`));
  const salt = 0x5bd1e995;
  const pairs: readonly (readonly [name: string, first: number, second: number])[] = [
    ...Array.from({ length: 32 }, (_, bit) => [`bit ${bit}`, salt, (salt ^ (1 << bit)) >>> 0] as const),
    ...Array.from({ length: 20 }, (_, step) => [`sequential ${step}`, step, step + 1] as const),
    ...Array.from({ length: 20 }, (_, index) => [`random ${index}`, scatter(index), scatter(index + 1000)] as const),
  ];

  it.each(pairs)("%s", (_, first, second) => {
    expect(chiSquare(hashes, first, second)).toBeLessThan(CRITICAL);
  });

  it("is a test that notices dependence", () => {
    expect(chiSquare(hashes, salt, salt)).toBeGreaterThan(CRITICAL);
  });
});

/** murmur3's fmix32 by its definition, in exact integers. */
function finalised(hash: number, salt: number): bigint {
  const mask = 0xffffffffn;
  let mixed = (BigInt(hash) ^ BigInt(salt)) & mask;
  mixed ^= mixed >> 16n;
  mixed = (mixed * 0x85ebca6bn) & mask;
  mixed ^= mixed >> 13n;
  mixed = (mixed * 0xc2b2ae35n) & mask;
  return mixed ^ (mixed >> 16n);
}

const CELLS = 10;

/** Chi-square with (10 - 1)^2 = 81 degrees of freedom exceeds this once in 10^7 (Wilson-Hilferty approximation). */
const CRITICAL = 166;

/** Pearson's statistic of the table "tenth of the buckets for one salt" by "tenth for the other". */
function chiSquare(hashes: Int32Array, first: number, second: number): number {
  const table = new Float64Array(CELLS * CELLS);
  const rows = new Float64Array(CELLS);
  const columns = new Float64Array(CELLS);
  const tenth = BUCKET_COUNT / CELLS;
  for (const hash of hashes) {
    const row = Math.floor(bucketOf(hash, first) / tenth);
    const column = Math.floor(bucketOf(hash, second) / tenth);
    table[row * CELLS + column] = (table[row * CELLS + column] as number) + 1;
    rows[row] = (rows[row] as number) + 1;
    columns[column] = (columns[column] as number) + 1;
  }
  return table.reduce((sum, observed, cell) => {
    const expected = ((rows[Math.floor(cell / CELLS)] as number) * (columns[cell % CELLS] as number)) / hashes.length;
    return sum + (observed - expected) ** 2 / expected;
  }, 0);
}

/** Fixed numbers that look random: Knuth's multiplicative hash. */
function scatter(index: number): number {
  return Math.imul(index + 1, 2654435769) >>> 0;
}
