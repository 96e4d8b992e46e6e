import { hash } from "node:crypto";
import { TOKEN_KINDS, TOKEN_PATTERN } from "@bunting/contracts";
import { createSeededRandom } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { crc32 } from "./crc-32.ts";
import { createTokenText, digestToken, readTokenId } from "./secret.ts";

const random = createSeededRandom(6);

describe("the text of a token", () => {
  it.each(TOKEN_KINDS)("has the documented form for the kind %s", (kind) => {
    const { id, text } = createTokenText(kind, random, null);
    expect(text).toMatch(TOKEN_PATTERN);
    expect(text.startsWith(`bnt_${kind}_${id}_`)).toBe(true);
    expect(text.length).toBeLessThanOrEqual(75);
    expect(readTokenId(text)).toBe(id);
  });

  it("shows a typing error at every place, without a look-up", () => {
    const { text } = createTokenText("admin", random, null);
    for (let index = 0; index < text.length; index++) {
      const other = text.charAt(index) === "x" ? "y" : "x";
      expect(readTokenId(text.slice(0, index) + other + text.slice(index + 1))).toBeNull();
    }
    expect(readTokenId(`${text} `)).toBeNull();
    expect(readTokenId("")).toBeNull();
  });

  it("ends in a CRC-32", () => {
    // The check value of every CRC-32 (ISO/IEC 13239).
    expect(crc32(Buffer.from("123456789"))).toBe(0xcbf43926);
  });

  it("draws every character equally often: bytes that would favour the first ones are drawn again", () => {
    const counts = new Map<string, number>();
    const drawn = 62 * 400;
    let seen = 0;
    while (seen < drawn) {
      const [, , , secret = ""] = createTokenText("viewer", random, null).text.split("_");
      for (const character of secret.slice(0, 43)) {
        counts.set(character, (counts.get(character) ?? 0) + 1);
        seen++;
      }
    }
    const expected = seen / 62;
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    expect(counts.size).toBe(62);
    // 61 degrees of freedom: 111 is the 99.99 % point. Modulo without rejection gives about 400 here.
    expect(chiSquare).toBeLessThan(111);
  });
});

describe("what is kept of a token", () => {
  it("is its SHA-256, or another value under a pepper", () => {
    const { text, digest } = createTokenText("server", random, null);
    expect(Buffer.from(digest).toString("hex")).toBe(hash("sha256", text, "hex"));
    const peppered = digestToken(text, "pepper");
    expect(peppered).toHaveLength(32);
    expect(Buffer.compare(peppered, digest)).not.toBe(0);
    expect(Buffer.compare(digestToken(text, "another"), peppered)).not.toBe(0);
  });
});
