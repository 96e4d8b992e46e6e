import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { files, read, readJson, root } from "../architecture/repository.ts";
import { type Block, blocksOf } from "./blocks.ts";
import { SURROUNDINGS } from "./surroundings.ts";

const documents = files(".md").filter((file) => typescriptIn(file).length > 0);
const ofExamples = documents.filter((file) => file.startsWith("examples/"));
const ofReaders = documents.filter((file) => !ofExamples.includes(file));

function typescriptIn(file: string): readonly Block[] {
  return blocksOf(read(file)).filter(({ language }) => language === "ts");
}

describe("the TypeScript in documents", () => {
  it("is there to be compiled", () => {
    expect(ofReaders).toEqual(expect.arrayContaining(["README.md", "sdk/README.md"]));
  });

  it("compiles as strictly as our own, against the SDK as it is", { timeout: 120_000 }, () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "bunting-docs-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    for (const file of ofReaders) writeModules(folder, file);
    writeFileSync(path.join(folder, "surroundings.d.ts"), SURROUNDINGS);
    writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(configuration()));

    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder, "--pretty", "false"], { encoding: "utf8" });
    expect(stdout).toBe("");
  });

  it.each(ofExamples)("%s quotes its own sources", (file) => {
    const folder = path.posix.dirname(file);
    const sources = files(".ts").filter((source) => source.startsWith(`${folder}/src/`));
    const lines = new Set(
      sources.flatMap((source) =>
        read(source)
          .split("\n")
          .map((line) => line.trim()),
      ),
    );
    const quoted = typescriptIn(file).flatMap(({ text }) => text.split("\n").map((line) => line.trim()));
    expect(quoted.filter((line) => !lines.has(line))).toEqual([]);
  });
});

/** Each block is a module that stands by itself. */
function writeModules(folder: string, file: string): void {
  for (const { text, line } of typescriptIn(file)) {
    const target = path.join(folder, file, `line-${line}.ts`);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, `${text}export {};\n`);
  }
}

function configuration(): object {
  const { compilerOptions } = readJson<{ compilerOptions: Record<string, unknown> }>("tsconfig.base.json");
  const {
    composite: _,
    declarationMap: __,
    tsBuildInfoFile: ___,
    outDir: ____,
    rootDir: _____,
    ...strict
  } = compilerOptions;
  const sdk = path.join(root, "sdk");
  return {
    compilerOptions: {
      ...strict,
      noEmit: true,
      typeRoots: [path.join(root, "node_modules/@types")],
      paths: {
        "@bunting/sdk": [path.join(sdk, "src/index.ts")],
        "@bunting/sdk/testing": [path.join(sdk, "src/testing.ts")],
        "@bunting/versions": [path.join(root, "packages/versions/src/index.ts")],
        "*": [path.join(sdk, "node_modules/*"), path.join(sdk, "node_modules/@types/*")],
      },
    },
    include: ["**/*.ts"],
  };
}
