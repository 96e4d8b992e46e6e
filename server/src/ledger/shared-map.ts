const CHUNKS = 256;

/**
 * An immutable map by text whose successors share what did not change: {@link with} copies one chunk in 256 per changed key.
 * Copying a Map of 10,000 flags takes over a millisecond, and creating a flag in three environments would copy seven of them.
 *
 * The order of iteration is stable for equal contents and histories, and means nothing: sort what people see.
 */
export class SharedMap<Key extends string, Value> implements ReadonlyMap<Key, Value> {
  readonly size: number;
  readonly #chunks: readonly ReadonlyMap<Key, Value>[];

  private constructor(chunks: readonly ReadonlyMap<Key, Value>[], size: number) {
    this.#chunks = chunks;
    this.size = size;
  }

  static from<Key extends string, Value>(entries: Iterable<readonly [Key, Value]>): SharedMap<Key, Value> {
    if (entries instanceof SharedMap) return entries as SharedMap<Key, Value>;
    const chunks = Array.from({ length: CHUNKS }, () => new Map<Key, Value>());
    for (const [key, value] of entries) chunks[chunkOf(key)]?.set(key, value);
    return new SharedMap(
      chunks,
      chunks.reduce((size, chunk) => size + chunk.size, 0),
    );
  }

  /** The map with these entries set; `undefined` removes. */
  with(changes: Iterable<readonly [Key, Value | undefined]>): SharedMap<Key, Value> {
    const chunks = [...this.#chunks];
    const copied = new Map<number, Map<Key, Value>>();
    let { size } = this;
    for (const [key, value] of changes) {
      const index = chunkOf(key);
      const chunk = copied.get(index) ?? new Map(chunks[index]);
      copied.set(index, chunk);
      chunks[index] = chunk;
      size -= chunk.size;
      if (value === undefined) chunk.delete(key);
      else chunk.set(key, value);
      size += chunk.size;
    }
    return copied.size === 0 ? this : new SharedMap(chunks, size);
  }

  get(key: Key): Value | undefined {
    return this.#chunks[chunkOf(key)]?.get(key);
  }

  has(key: Key): boolean {
    return this.#chunks[chunkOf(key)]?.has(key) ?? false;
  }

  forEach(visit: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const chunk of this.#chunks) for (const [key, value] of chunk) visit(value, key, this);
  }

  *entries(): MapIterator<[Key, Value]> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  *keys(): MapIterator<Key> {
    for (const chunk of this.#chunks) yield* chunk.keys();
  }

  *values(): MapIterator<Value> {
    for (const chunk of this.#chunks) yield* chunk.values();
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }
}

/** FNV-1a over UTF-16 code units, folded to the number of chunks. */
function chunkOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (CHUNKS - 1);
}
