import type { Ruleset } from "@bunting/contracts";
import { rulesetChecksum } from "@bunting/engine";
import { asRuleset, parseJson } from "../guards.ts";
import type { Platform } from "../ports.ts";
import type { Source } from "../types.ts";
import { type CachedState, parseCache } from "./file.ts";

/** What a client starts with, before the network has said anything. */
export interface Beginning {
  readonly source: Exclude<Source, "live">;
  readonly ruleset: Ruleset | null;
  readonly left: readonly string[];
  /** Unix ms; null if unknown. */
  readonly savedAt: number | null;
  readonly issues: readonly string[];
}

export interface BeginningSources {
  readonly bootstrap: object | null;
  readonly cacheFile: string | null;
  readonly cacheScope: string;
}

/** Cache file, then bootstrap object, then nothing (LC-40). Never throws: a bad source is an issue, and the next one counts. */
export function findBeginning({ bootstrap, cacheFile, cacheScope }: BeginningSources, platform: Platform): Beginning {
  const issues: string[] = [];
  const cached = cacheFile === null ? null : readCache(cacheFile, cacheScope, platform, issues);
  const given = bootstrap === null ? null : asRuleset(copyOf(bootstrap));
  const usable = given !== null && rulesetChecksum(given) === given.checksum ? given : null;
  if (bootstrap !== null && usable === null)
    issues.push("bootstrap: not a ruleset, or its checksum is wrong; it is ignored");
  const left = cached?.left ?? [];
  if (cached !== null && !isFurther(usable, cached.ruleset)) {
    return { source: "cached", ruleset: cached.ruleset, left, savedAt: cached.savedAt, issues };
  }
  if (usable !== null) return { source: "bootstrap", ruleset: usable, left, savedAt: null, issues };
  return { source: "defaults", ruleset: null, left, savedAt: null, issues };
}

/** A copy of its own: the caller may change the object later, and values that are served get frozen. */
function copyOf(bootstrap: object): unknown {
  try {
    return parseJson(JSON.stringify(bootstrap));
  } catch {
    return undefined; // a cycle, a BigInt, a getter that throws
  }
}

function isFurther(bootstrap: Ruleset | null, cached: Ruleset): boolean {
  return bootstrap !== null && bootstrap.epoch === cached.epoch && bootstrap.revision > cached.revision;
}

function readCache(path: string, scope: string, { files }: Platform, issues: string[]): CachedState | null {
  try {
    const text = files.readNow(path);
    const state = text === null ? null : parseCache(text, scope, files);
    if (text !== null && state === null)
      issues.push("cache file: damaged, of another environment or of another release; not used");
    return state;
  } catch (error) {
    issues.push(`cache file: cannot be read (${error instanceof Error ? error.message : "unknown reason"})`);
    return null;
  }
}
