import { describe, expect, it } from "vitest";
import { readResumeToken, signResumeToken } from "./resume-token.ts";

const key = new Uint8Array(32).fill(7);
const claim = { session: "s-1", environment: "production", token: "t-1", expiresAt: 1_000 };
const expected = { environment: "production", token: "t-1", now: 999 };

describe("ST-18 a resume token names its session", () => {
  const token = signResumeToken(claim, key);

  it("if it is genuine", () => {
    expect(readResumeToken(token, expected, key)).toBe("s-1");
    expect(token.length).toBeLessThanOrEqual(512);
  });

  it.each([
    { what: "expired", changed: { now: 1_000 } },
    { what: "of another environment", changed: { environment: "staging" } },
    { what: "of another access token", changed: { token: "t-2" } },
  ])("but not if it is $what", ({ changed }) => {
    expect(readResumeToken(token, { ...expected, ...changed }, key)).toBeNull();
  });

  it("but not if it was signed with another key", () => {
    expect(readResumeToken(signResumeToken(claim, new Uint8Array(32).fill(8)), expected, key)).toBeNull();
  });

  it("but not if it was cut anywhere", () => {
    for (let length = 0; length < token.length - 1; length++) {
      expect(readResumeToken(token.slice(0, length), expected, key)).toBeNull();
    }
  });

  it("but not if its content was exchanged", () => {
    const [, signature = ""] = token.split(".");
    const forged = Buffer.from(JSON.stringify(["s-2", "production", "t-1", 1_000])).toString("base64url");
    expect(readResumeToken(`${forged}.${signature}`, expected, key)).toBeNull();
  });

  it.each(["", ".", "..", "a.b", "a.b.c", "x".repeat(5_000), "\u{1f426}.\u{1f426}", "__proto__.x"])(
    "but not if it is %j",
    (text) => {
      expect(readResumeToken(text, expected, key)).toBeNull();
    },
  );
});
