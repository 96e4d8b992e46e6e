import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/**
 * A library under measurement, set up with the flags of the workload and its telemetry as shipped. The loops are the
 * subject's own, so that nothing stands between the library and its caller. Contexts are made before.
 */
export interface Subject {
  readonly version: string;
  /** How many of the users have the flag. Async only if the library is. */
  enabled(flag: string): number | Promise<number>;
  /** How many of the users are served the variant. */
  serves(flag: string, variant: string): number | Promise<number>;
  /** For every user, each of the flags: how often it is on. */
  enabledForEach(flags: readonly string[]): number | Promise<number>;
  close(): void | Promise<void>;
}

export type CreateSubject = () => Subject | Promise<Subject>;

const require = createRequire(import.meta.url);

/** Version of an installed package, also where its exports hide package.json. */
export function versionOf(name: string): string {
  const inside = require.resolve(name);
  const folder = inside.slice(
    0,
    inside.lastIndexOf(path.join("node_modules", name)) + path.join("node_modules", name).length,
  );
  const manifest = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as { readonly version: string };
  return manifest.version;
}

/** A port of this machine where nobody listens: what a library reports goes no further. */
export const NOWHERE = "http://127.0.0.1:9";
