import { spawnSync } from "node:child_process";
import { ERRORS } from "@bunting/contracts";
import { expect, it } from "vitest";
import { files, read, root, withoutComments } from "./repository.ts";

const codes = Object.keys(ERRORS);
const isTest = (file: string): boolean => file.endsWith(".test.ts");
/** Whatever answers callers. Refusals of rollouts are decided in the gating package, and handed on by the server as they are. */
const outward = files(".ts").filter((file) => /^(server|sdk|packages\/gating)\/src\//.test(file));

it("the reference pages are those that the sources make", () => {
  const { stderr } = spawnSync(
    process.execPath,
    ["--conditions=@bunting/source", "--import", "tsx", "scripts/reference.mjs", "--check"],
    {
      cwd: root,
      encoding: "utf8",
    },
  );
  expect(stderr).toBe("");
});

it("every error code is answered by the server or the SDK", () => {
  const used = wordsOf(outward.filter((file) => !isTest(file)));
  expect(codes.filter((code) => !used.has(code))).toEqual([]);
});

it("every error code is met by a test", () => {
  const met = wordsOf(files(".ts").filter((file) => isTest(file) || /^(test|packages\/testkit)\//.test(file)));
  expect(codes.filter((code) => !met.has(code))).toEqual([]);
});

/** Everything in quotes, and every property name, that could be a code. */
function wordsOf(sources: readonly string[]): ReadonlySet<string> {
  return new Set(
    sources
      .filter((file) => !file.startsWith("test/architecture/"))
      .flatMap((file) => withoutComments(read(file)).match(/(?<=["'`.\s{,])[a-z]+(?:_[a-z]+)*(?=["'`:),\]])/g) ?? []),
  );
}
