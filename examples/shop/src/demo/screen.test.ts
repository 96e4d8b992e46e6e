import { describe, expect, it } from "vitest";
import { createScreen } from "./screen.ts";

function recorder(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, write: (text: string) => written.push(text) > 0 };
}

describe("where there is no terminal", () => {
  it("prints plain lines, each once and final", async () => {
    const output = recorder(false);
    const screen = createScreen(output, { color: false });
    let value = 0;
    screen.chapter("It starts");
    await screen.watch(
      () => `value ${value}`,
      Promise.resolve().then(() => {
        value = 7;
      }),
    );
    screen.claim(true, "it holds");
    expect(output.written.join("")).toBe("\n1. It starts\n   value 7\n   ✓ it holds\n");
  });
});

describe("on a terminal", () => {
  it("leaves the last state of a moving line behind", async () => {
    const output = recorder(true);
    await createScreen(output, { color: true }).watch(() => "final", Promise.resolve());
    expect(output.written.at(-2)).toContain("final");
    expect(output.written.at(-1)).toBe("\n");
  });

  it("shows the last state also when what it waited for failed", async () => {
    const output = recorder(true);
    const failing = createScreen(output, { color: true }).watch(() => "so far", Promise.reject(new Error("lost")));
    await expect(failing).rejects.toThrow("lost");
    expect(output.written.at(-2)).toContain("so far");
  });
});
