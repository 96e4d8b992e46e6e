import { describe, expect, it } from "vitest";
import { visible } from "./visible.ts";

describe("text from elsewhere", () => {
  it.each([
    ["a terminal's escape sequence", "\u001b[2Jgone", "\\u{1b}[2Jgone"],
    ["its one-byte form", "\u009b31m", "\\u{9b}31m"],
    ["a carriage return that overwrites the line", "safe\revil", "safe\\u{d}evil"],
    ["a bell", "\u0007", "\\u{7}"],
    ["writing that turns round", "a\u202eb", "a\\u{202e}b"],
  ])("loses %s", (_, text, shown) => expect(visible(text)).toBe(shown));

  it("keeps letters of every script, line feeds and tabs", () => {
    const text = "Überführung\t中文 🎏\nzweite Zeile";
    expect(visible(text)).toBe(text);
  });

  it("is made safe however deep it lies, in keys too, and the original stays", () => {
    const original = { items: [{ "a\u001b": ["\u001b", 1, null, true] }] };
    expect(visible(original)).toEqual({ items: [{ "a\\u{1b}": ["\\u{1b}", 1, null, true] }] });
    expect(original.items[0]?.["a\u001b"]?.[0]).toBe("\u001b");
  });
});
