import type { CompiledFlag, Decision } from "@bunting/engine";
import { isObject, parseJson } from "./guards.ts";
import type { Cancel, Files, Scheduler } from "./ports.ts";
import type { ActiveOverride } from "./types.ts";

/** A variant forced in this process, as it was written down. */
export interface Override {
  readonly text: string;
  readonly from: ActiveOverride["from"];
}

/** Looks overrides up by flag. Read from the environment once, from the file whenever it changes; never on an evaluation. */
export interface Overrides {
  of(flag: string): Override | undefined;
  /** What could not be used, in sentences. */
  readonly issues: readonly string[];
  /** Takes the contents of the override file. False if they cannot be used: then those before stay. */
  load(text: string | null): boolean;
}

export interface OverrideSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Flag → name of a variable. */
  readonly overrideEnv: ReadonlyMap<string, string>;
}

const PREFIX = "BUNTING_FLAG_";

/** The environment variable that overrides a flag: `redis-readthrough` → `BUNTING_FLAG_REDIS_READTHROUGH`. */
export function overrideVariable(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_");
}

export function createOverrides({ environment, overrideEnv }: OverrideSources): Overrides {
  const byVariable = new Map<string, string>();
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith(PREFIX) && isSet(value)) byVariable.set(name, value.trim());
  }
  const mapped = new Map<string, string>();
  for (const [flag, variable] of overrideEnv) {
    const value = environment[variable];
    if (isSet(value)) mapped.set(flag, value.trim());
  }
  let fromFile: ReadonlyMap<string, string> = new Map();
  let issues: readonly string[] = [];
  return {
    of(flag) {
      const file = fromFile.get(flag);
      if (file !== undefined) return { text: file, from: "file" };
      const map = mapped.get(flag);
      if (map !== undefined) return { text: map, from: "overrideEnv" };
      if (byVariable.size === 0) return undefined;
      const variable = byVariable.get(overrideVariable(flag));
      return variable === undefined ? undefined : { text: variable, from: "environment" };
    },
    get issues() {
      return issues;
    },
    load(text) {
      const entries = text === null ? new Map<string, string>() : parseOverrides(text);
      if (entries === null) {
        issues = ['override file: not a JSON object of flag → "variant", true or false; the overrides before stay'];
        return false;
      }
      fromFile = entries;
      issues = [];
      return true;
    },
  };
}

/** The boolean a text stands for, if it does. */
export function booleanOf(text: string): boolean | undefined {
  switch (text.toLowerCase()) {
    case "true":
    case "1":
    case "on":
      return true;
    case "false":
    case "0":
    case "off":
      return false;
    default:
      return undefined;
  }
}

/** What an override means for a flag; undefined if it names nothing there, and is to be ignored. */
export function decisionOf(override: Override, flag: CompiledFlag): Decision | undefined {
  const wanted = flag.type === "boolean" ? booleanOf(override.text) : undefined;
  const variant = wanted === undefined ? override.text : flag.variants.find(({ value }) => value === wanted)?.key;
  return variant === undefined ? undefined : flag.decisionFor(variant);
}

/** Half of the second within which a change must be in force. */
const LOOK_EVERY_MS = 500;

/**
 * Looks at the file's stamp twice a second and reads it when that changes: it finds renames, removal and late creation alike,
 * on every file system, which file notifications do not.
 */
export function watchOverrideFile(
  path: string,
  { files, scheduler }: { readonly files: Files; readonly scheduler: Scheduler },
  changed: (text: string | null) => void,
): Cancel {
  let seen: string | null | undefined;
  let stopped = false;
  let cancel: Cancel = () => {};
  const look = (): void => files.stamp(path, take);
  const later = (): void => {
    if (!stopped) cancel = scheduler.after(LOOK_EVERY_MS, look);
  };
  const take = (stamp: string | null): void => {
    if (stopped) return;
    if (stamp === seen) return later();
    files.read(path, (text, error) => {
      if (stopped) return;
      if (error === undefined) {
        seen = stamp;
        changed(text);
      }
      later();
    });
  };
  look();
  return () => {
    stopped = true;
    cancel();
  };
}

function parseOverrides(text: string): Map<string, string> | null {
  const value = parseJson(text);
  if (!isObject(value)) return null;
  const entries = new Map<string, string>();
  for (const [flag, override] of Object.entries(value)) {
    if (typeof override !== "string" && typeof override !== "boolean") return null;
    if (override !== "") entries.set(flag, `${override}`.trim());
  }
  return entries;
}

/** An empty variable is how many deployment tools write "not set". */
function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== "";
}
