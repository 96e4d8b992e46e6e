import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createNodeWorld } from "./node-world.ts";
import { run } from "./run.ts";
import { createTestWorld, TOKEN } from "./test-world.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "bunting-cli-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The files of this machine, and a server that has nothing to export. */
async function running(...commandLine: string[]) {
  const { readFile, writeFile } = createNodeWorld();
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    readFile,
    writeFile,
    fetch: () => Promise.resolve(Response.json(EXPORTED)),
  });
  return { exitCode: await run(commandLine, world), out: out(), err: err() };
}

const EXPORTED = {
  format: 1,
  exportedAt: "2026-01-31T12:00:00.000Z",
  epoch: "e",
  environments: [],
  flags: [],
  configurations: [],
  segments: [],
  rollouts: [],
};

describe("a file that cannot be read or written", () => {
  it("is a wrong argument, and no defect with its stack: a folder that is not there", async () => {
    const file = path.join(folder, "gone", "flags.json");
    expect(await running("export", "--out", file)).toEqual({
      exitCode: 2,
      out: "",
      err: `✗ usage  Cannot read or write ${file}: no such file or directory.\n`,
    });
  });

  it("is a wrong argument: a folder where a file belongs", async () => {
    const { exitCode, err } = await running("flag", "create", "a", "--file", folder);
    expect([exitCode, err]).toEqual([
      2,
      `✗ usage  Cannot read or write ${folder}: illegal operation on a directory.\n`,
    ]);
  });

  it("is a wrong argument: a file with nothing in it", async () => {
    const file = path.join(folder, "empty.json");
    writeFileSync(file, "\n");
    const { exitCode, err } = await running("flag", "create", "a", "--file", file);
    expect([exitCode, err]).toEqual([2, `✗ usage  ${file} is not JSON: it is empty.\n`]);
  });

  it("is a wrong argument: a file under a file", async () => {
    const file = path.join(folder, "plain");
    writeFileSync(file, "");
    const { exitCode, err } = await running("export", "--out", path.join(file, "flags.json"));
    expect([exitCode, err]).toEqual([2, expect.stringContaining("not a directory")]);
  });
});

describe("a token that the server does not take", () => {
  const refused = { type: "t", title: "t", status: 401, detail: "Send …", code: "unauthenticated", requestId: "r" };

  it("is said to be that of its source, at that server", async () => {
    const { world, err } = createTestWorld({
      env: { BUNTING_TOKEN: TOKEN },
      fetch: () => Promise.resolve(Response.json(refused, { status: 401 })),
    });
    expect(await run(["flag", "list"], world)).toBe(4);
    expect(err()).toContain(
      "✗ unauthenticated  http://127.0.0.1:4242 does not take the token of BUNTING_TOKEN: it is unknown there, expired or revoked.",
    );
    expect(err()).not.toContain(TOKEN);
  });
});
