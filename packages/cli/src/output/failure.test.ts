import { ERRORS } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { refusal } from "../failure.ts";
import { PLAIN } from "../test-world.ts";
import { renderFailure } from "./failure.ts";

const problem = {
  type: "https://example.test/errors#version_mismatch",
  title: "Version mismatch",
  status: 412,
  detail: "The configuration has version 13.",
  code: "version_mismatch",
  requestId: "r-1",
};

describe("an error", () => {
  it("shows code, detail, the catalogue's remedy and the request", () => {
    expect(renderFailure(refusal(problem).report, PLAIN).split("\n")).toEqual([
      "✗ version_mismatch  The configuration has version 13.",
      `  ${ERRORS.version_mismatch.remedy}`,
      "  request r-1",
    ]);
  });

  it("never takes more than four lines", () => {
    const errors = Array.from({ length: 9 }, (_, index) => ({ path: `/rules/${index}`, message: "Bad.\nVery bad." }));
    const lines = renderFailure(refusal({ ...problem, detail: "Two\nlines.", errors }).report, PLAIN).split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[1]).toBe("  /rules/0: Bad. Very bad.  /rules/1: Bad. Very bad.  /rules/2: Bad. Very bad.  and 6 more");
  });

  it("does not say twice what the detail says already, only where", () => {
    const errors = [
      { path: "/item", message: "The configuration has version 13." },
      { path: "", message: "Too long." },
    ];
    expect(renderFailure(refusal({ ...problem, errors }).report, PLAIN).split("\n")[1]).toBe(
      "  at /item  /: Too long.",
    );
  });

  it("prefers the server's remedy, and does without one for a code it does not know", () => {
    expect(refusal({ ...problem, remedy: "Do this." }).report.remedy).toBe("Do this.");
    expect(refusal({ ...problem, code: "from_the_future" }).report.remedy).toBeUndefined();
    expect(refusal({ ...problem, code: "constructor" }).report.remedy).toBeUndefined();
  });

  it.each([
    [401, "unauthenticated", 4],
    [403, "forbidden", 4],
    [404, "flag_not_found", 1],
    [412, "version_mismatch", 1],
    [503, "storage_read_only", 1],
  ])("of status %i and code %s ends with exit code %i", (status, code, exitCode) => {
    expect(refusal({ ...problem, status, code }).exitCode).toBe(exitCode);
  });
});
