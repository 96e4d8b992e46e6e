import { spawnSync } from "node:child_process";
import Database from "better-sqlite3";
import { describe, expect, it } from "vitest";
import { files, manifestOf, read, workspaces } from "./repository.ts";

const lockfile = read("pnpm-lock.yaml");
const numerically = new Intl.Collator("en", { numeric: true });
const isAtLeast = (version: string, least: string): boolean => numerically.compare(version, least) >= 0;

/** Below these, flaws are published that reach us: requests past authentication (hono), exhaustible memory (ws). */
describe.each([
  ["hono", "4.13.19"],
  ["ws", "8.23.0"],
])("%s", (name, least) => {
  it(`is at least ${least}, wherever it is used`, () => {
    const versions = [...lockfile.matchAll(new RegExp(`^ {2}'?${name}@(\\d[^:'(]*)'?:`, "gm"))].map(
      ([, version]) => version ?? "",
    );
    expect(versions.length).toBeGreaterThan(0);
    expect(versions.filter((version) => !isAtLeast(version, least))).toEqual([]);
  });
});

it("SQLite is at least 3.51.3: before it, a WAL reset could corrupt a database", () => {
  const database = new Database(":memory:");
  const version = String(database.prepare("SELECT sqlite_version()").pluck().get());
  database.close();
  expect([version, isAtLeast(version, "3.51.3")]).toEqual([version, true]);
});

/** With --gc-global every collection takes statements, also the ones that start inside a builtin, where no context is entered. */
const collectStatements = `
  const Database = require("better-sqlite3");
  const database = new Database(":memory:");
  for (let round = 0; round < 100; round++) {
    for (let index = 0; index < 20; index++) database.prepare("SELECT 1");
    for (let index = 0; index < 2000; index++) globalThis.garbage = [index].concat([index, [index]]);
  }
  database.close();
  console.log("alive");
`;

it("statements may be collected at any moment: compiled with the headers of Node.js 24.19, that aborted the process", () => {
  const options = { cwd: import.meta.dirname, encoding: "utf8", timeout: 30_000 } as const;
  const { stdout, signal } = spawnSync(process.execPath, ["--gc-global", "-e", collectStatements], options);
  expect([stdout, signal]).toEqual(["alive\n", null]);
});

it("the lockfile holds no address: whoever installs chooses the registry", () => {
  expect(lockfile.match(/^.*(?:https?:|git\+|tarball:).*$/gm) ?? []).toEqual([]);
});

it("every dependency takes its version from the catalog", () => {
  const free = workspaces().flatMap((folder) => {
    const { dependencies, devDependencies } = manifestOf(folder);
    return Object.entries({ ...dependencies, ...devDependencies })
      .filter(([, version]) => version !== "catalog:" && version !== "workspace:*")
      .map(([name, version]) => `${folder}: ${name} ${version}`);
  });
  // The one that is installed by npm, which picks by engines: 13 crashes on Node.js 20.
  expect(free).toEqual(["packages/cli: better-sqlite3 ^12.11.1 || ^13.2.0"]);
});

it("every version in the catalog is exact", () => {
  const catalog = /^catalog:\n((?: {2}.*\n)+)/m.exec(read("pnpm-workspace.yaml"))?.[1] ?? "";
  const ranges = catalog
    .trimEnd()
    .split("\n")
    .filter((line) => !/: \d+\.\d+\.\d+(-[\w.]+)?$/.test(line));
  expect(ranges).toEqual([]);
});

it("no file names a place on somebody's machine, nor a registry", () => {
  const homes = ["home", "Users", "root", "work"].map((folder) => `/${folder}/`);
  const place = new RegExp(`(?:^|[\\s"'\`(=]|file://)(?:${homes.join("|")})[\\w.-]|registry\\.[a-z]+\\.[a-z]`);
  const texts = files(".ts", ".tsx", ".mjs", ".js", ".json", ".md", ".yaml", ".yml", ".sql", ".html", ".css", "run");
  const places = texts.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, index) => (place.test(line) ? [`${file}:${index + 1}`] : [])),
  );
  expect(places).toEqual([]);
});
