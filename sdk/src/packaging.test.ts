import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VERSION } from "./version.ts";

const sdk = path.resolve(import.meta.dirname, "..");
const root = path.resolve(sdk, "..");
let project: string;

/** What an application has after installing the package: its files, `ws`, and nothing else of ours. */
beforeAll(() => {
  project = mkdtempSync(path.join(tmpdir(), "bunting-package-"));
  const installed = path.join(project, "node_modules/@bunting/sdk");
  mkdirSync(installed, { recursive: true });
  // The bundler takes the declarations of the contracts as they are compiled, and a fresh clone has compiled nothing yet.
  node(root, path.join(root, "node_modules/typescript/bin/tsc"), "-b", "packages/contracts", "packages/engine");
  node(
    sdk,
    path.join(sdk, "node_modules/tsdown/dist/run.mjs"),
    "--out-dir",
    path.join(installed, "dist"),
    "--logLevel",
    "error",
  );
  const { publishConfig, ...manifest } = manifestOf(sdk);
  writeFileSync(path.join(installed, "package.json"), JSON.stringify({ ...manifest, ...publishConfig }));
  cpSync(realpathSync(path.join(sdk, "node_modules/ws")), path.join(project, "node_modules/ws"), { recursive: true });
  mkdirSync(path.join(project, "node_modules/@types"));
  symlinkSync(
    realpathSync(path.join(root, "node_modules/@types/node")),
    path.join(project, "node_modules/@types/node"),
  );
}, 120_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

const USE = `
  const assert = (truth) => { if (!truth) throw new Error("not so"); };
  const test = createTestFlags({ on: true, checkout: "v2" });
  assert(test.isEnabled("on", "u") && test.variant("checkout", "u") === "v2");
  const flags = createFlags({ overrideEnv: { on: "SWITCH" } });
  assert(flags.isEnabled("on", "u") && flags.status().state === "offline");
  flags.ready().then((source) => flags.close().then(() => console.log(source)));`;

describe("the published package", () => {
  it("works where it is imported", () => {
    const program = `import { createFlags } from "@bunting/sdk"; import { createTestFlags } from "@bunting/sdk/testing";${USE}`;
    writeFileSync(path.join(project, "imports.mjs"), program);
    expect(node(project, "imports.mjs")).toBe("defaults\n");
  });

  it("works where it is required", () => {
    const program = `const { createFlags } = require("@bunting/sdk"); const { createTestFlags } = require("@bunting/sdk/testing");${USE}`;
    writeFileSync(path.join(project, "requires.cjs"), program);
    expect(node(project, "requires.cjs")).toBe("defaults\n");
  });

  it.each(["consumer.mts", "consumer.cts"])("has types that need neither zod nor our contracts: %s", (file) => {
    writeFileSync(
      path.join(project, file),
      `import { createFlags, type Evaluation, type Flags, type FlagsOptions } from "@bunting/sdk";
       import { createTestFlags, type TestFlags } from "@bunting/sdk/testing";
       interface Account { readonly id: string }
       const options: FlagsOptions<Account> = { token: process.env.BUNTING_TOKEN, identify: ({ id }) => ({ key: id }) };
       const flags: Flags<Account> = createFlags(options);
       const size: number = flags.value("page-size", { id: "u" }, 20);
       const evaluation: Evaluation = flags.evaluate("checkout", { id: "u" });
       flags.on("change", ({ keys, revision }) => [...keys, revision]);
       const fake: TestFlags = createTestFlags({ a: true, b: { variants: { x: 1 }, fallthrough: { x: 100 } } });
       // @ts-expect-error misspelled
       createFlags({ tokn: "x" });
       // @ts-expect-error a text is no number
       const wrong: string = flags.value("page-size", { id: "u" }, 20);
       export { evaluation, fake, size, wrong };`,
    );
    const compiler = path.join(root, "node_modules/typescript/bin/tsc");
    const strict = [
      "--strict",
      "--exactOptionalPropertyTypes",
      "--noUncheckedIndexedAccess",
      "--skipLibCheck",
      "false",
    ];
    const target = ["--module", "nodenext", "--target", "es2022", "--types", "node", "--noEmit"];
    expect(node(project, compiler, ...strict, ...target, file)).toBe("");
  });

  it("brings no schema library and asks for nothing but ws", () => {
    const dist = path.join(project, "node_modules/@bunting/sdk/dist");
    const asked = new Set<string>();
    for (const file of readdirSync(dist).filter((name) => /\.(c?js|d\.c?ts)$/.test(name))) {
      const text = readFileSync(path.join(dist, file), "utf8");
      for (const [, name = ""] of text.matchAll(/(?:from|import|require\()\s*"([^"]+)"/g)) asked.add(name);
    }
    const outside = [...asked].filter((name) => !name.startsWith(".") && !name.startsWith("node:"));
    expect(outside).toEqual(["ws"]);
  });

  it("names its own version", () => expect(VERSION).toBe(manifestOf(sdk).version));
});

interface Manifest {
  readonly version: string;
  readonly publishConfig: object;
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as Manifest;
}

function node(cwd: string, ...args: string[]): string {
  // Not the environment of the test runner: NODE_OPTIONS and conditions of ours would find our sources.
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, SWITCH: "on" };
  return execFileSync(process.execPath, args, { cwd, encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
}
