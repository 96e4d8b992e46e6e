import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, it } from "vitest";

it("every mutant fits the sources that it is to break", () => {
  const script = path.resolve(import.meta.dirname, "../../scripts/mutants.mjs");
  expect(execFileSync(process.execPath, [script, "--check"], { encoding: "utf8" })).toMatch(/^\d+ mutants fit/);
});
