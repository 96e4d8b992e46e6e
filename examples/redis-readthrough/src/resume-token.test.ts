import { expect, it } from "vitest";
import { createResumeTokens } from "./resume-token.ts";

const tokens = createResumeTokens(Buffer.alloc(32, 7));

it("brings a player back, whatever the name", () => {
  for (const player of ["ann", "Zoë.1", '["'] as const) {
    expect(tokens.verify("s-1", tokens.issue("s-1", player))).toBe(player);
  }
});

it("is worth nothing for another session, another player or another key", () => {
  const token = tokens.issue("s-1", "ann");
  const [, signature] = token.split(".");
  const forged = `${Buffer.from("bob").toString("base64url")}.${signature}`;
  expect(tokens.verify("s-2", token)).toBeUndefined();
  expect(tokens.verify("s-1", forged)).toBeUndefined();
  expect(createResumeTokens(Buffer.alloc(32, 8)).verify("s-1", token)).toBeUndefined();
});

it("is refused in any other form", () => {
  for (const token of ["", ".", "ann", "ann.", "a.b.c", "%%%.%%%", "x".repeat(10_000)]) {
    expect(tokens.verify("s-1", token)).toBeUndefined();
  }
});
