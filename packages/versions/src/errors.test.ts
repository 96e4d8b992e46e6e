import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { FAILURE_CODES, VERSION_ERRORS } from "./errors.ts";

const folder = import.meta.dirname;
const tests = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
  (file) => file.endsWith(".test.ts") && file !== "errors.test.ts",
);
const text = tests.map((file) => readFileSync(path.join(folder, file), "utf8")).join("\n");

it.each(Object.keys(VERSION_ERRORS))("%s is met by a test", (code) => {
  expect(text).toContain(`"${code}"`);
});

it("says of every code what it means, when it is normal, and what to do", () => {
  for (const { meaning, normal, remedy } of Object.values(VERSION_ERRORS)) {
    expect([meaning, normal, remedy].filter((sentence) => !sentence.endsWith("."))).toEqual([]);
  }
  expect(FAILURE_CODES.filter((code) => VERSION_ERRORS[code].retryable)).toEqual(["load_timeout"]);
});
