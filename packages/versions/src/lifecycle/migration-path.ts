/** The versions whose state each loaded version says it takes; null: it does not say, so it is asked. */
export type DeclaredMigrations = ReadonlyMap<string, readonly string[] | null>;

/**
 * Through which versions a state gets from one to another: the shortest way, of equal ones the first in the order of
 * `declared`. `["v3"]` is a direct migration, `["v2", "v3"]` goes by way of v2, `[]` means that there is nothing to do.
 *
 * @returns null if there is no way.
 */
export function migrationPath(from: string, to: string, declared: DeclaredMigrations): readonly string[] | null {
  if (from === to) return [];
  const takes = (version: string, state: string): boolean => declared.get(version)?.includes(state) ?? false;
  const reached = new Map<string, readonly string[]>([[from, []]]);
  for (const [version, path] of reached) {
    if (takes(to, version)) return [...path, to];
    for (const next of declared.keys()) {
      if (!reached.has(next) && takes(next, version)) reached.set(next, [...path, next]);
    }
  }
  // It did not say what it takes, so only it can tell.
  return declared.has(to) && declared.get(to) === null ? [to] : null;
}
