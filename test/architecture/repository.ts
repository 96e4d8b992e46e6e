import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/*
 * The repository as its architecture tests see it: what a person wrote, by path from the root. Found by walking and not by
 * asking Git, so that a file counts before it is committed, and a downloaded archive is as good as a clone.
 */

export const root: string = path.resolve(import.meta.dirname, "../..");

/** Made by a tool, and ignored by Git for that reason. */
const made: ReadonlySet<string> = new Set([
  ".git",
  "node_modules",
  "dist",
  ".tsc",
  "bundle",
  ".pack",
  "data",
  "coverage",
]);

/** Paths of all files whose name ends in one of the suffixes, sorted, with forward slashes. */
export function files(...suffixes: readonly string[]): readonly string[] {
  return walk("").filter((file) => suffixes.some((suffix) => file.endsWith(suffix)));
}

export const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

export const readJson = <Shape>(file: string): Shape => JSON.parse(read(file)) as Shape;

/** Everything at the top that a person wrote. */
export const topLevelFolders = (): readonly string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !made.has(entry.name))
    .map(({ name }) => name)
    .sort();

/** Folders of the workspaces, without the one these tests are in. */
export const workspaces = (): readonly string[] =>
  walk("")
    .filter((file) => path.basename(file) === "package.json")
    .map((file) => path.posix.dirname(file))
    .filter((folder) => folder !== "." && folder !== "test")
    .sort();

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export const manifestOf = (folder: string): Manifest => readJson(`${folder}/package.json`);

const scope = "@bunting/";

/** Which of our own packages are among the dependencies, by their short names. */
export const ownPackages = (dependencies: Readonly<Record<string, string>> = {}): readonly string[] =>
  Object.keys(dependencies)
    .filter((name) => name.startsWith(scope))
    .map((name) => name.slice(scope.length));

/** TypeScript without comments, roughly: enough to tell a title or a code from talk about it. */
export const withoutComments = (source: string): string =>
  source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|[^:"'`])\/\/.*$/gm, "$1");

function walk(folder: string): readonly string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true })
    .filter((entry) => !made.has(entry.name))
    .flatMap((entry) => {
      const file = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return walk(file);
      return entry.isFile() ? [file] : [];
    })
    .sort();
}
