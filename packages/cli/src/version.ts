import { readFileSync } from "node:fs";

/** Of this release. The manifest lies one folder up, both from the sources and from the bundle. */
export function readVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  return manifest.version;
}
