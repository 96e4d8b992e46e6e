import { describe, expect, it } from "vitest";
import { createLiveView } from "./live-view.ts";

const FRAME = /^ESC\[\?2026h(?:ESC\[(\d+)A)?\rESC\[JESC\[\?7l([\s\S]*)\nESC\[\?7hESC\[\?2026l$/;

/** A screen that knows what the view writes: up, clear below, and lines. Everything else would be shown. */
function screenOf(rows: number) {
  const lines: string[] = [];
  const written: string[] = [];
  const write = (text: string): void => {
    written.push(text);
    const frame = text.replaceAll("\u001b", "ESC");
    const [, up = "0", shown = ""] = FRAME.exec(frame) ?? [];
    lines.splice(lines.length - Number(up), Number(up), ...shown.split("\n"));
  };
  return { screen: { write, isTerminal: true, columns: 80, rows }, lines, written };
}

describe("a live view", () => {
  it("draws each frame in the place of the one before, be it longer or shorter", () => {
    const { screen, lines } = screenOf(24);
    const view = createLiveView(screen);
    for (const frame of ["a\nb", "c\nd\ne", "f"]) {
      view.draw(frame);
      expect(lines.join("\n")).toBe(frame);
    }
  });

  it("cuts what is higher than the screen, which could not be drawn over", () => {
    const { screen, lines } = screenOf(5);
    const view = createLiveView(screen);
    view.draw("1\n2\n3\n4\n5\n6");
    expect(lines).toEqual(["1", "2", "3", "…"]);
    view.draw("7");
    expect(lines).toEqual(["7"]);
  });

  it("breaks a line that is wider than the screen between its words, colours and all, and counts the parts", () => {
    const { screen, lines } = screenOf(24);
    const view = createLiveView({ ...screen, columns: 20 });
    view.draw("14:01  \u001b[31mrollback\u001b[39m  9 % errors of 200\nnext");
    expect(lines).toEqual(["14:01  ESC[31mrollbackESC[39m  9 %", "       errors of 200", "next"]);
    view.draw("a-word-that-no-screen-holds");
    expect(lines).toEqual(["a-word-that-no-screen-holds"]);
    view.draw("f");
    expect(lines).toEqual(["f"]);
  });

  it("leaves nothing to repair between two frames", () => {
    const { screen, written } = screenOf(24);
    createLiveView(screen).draw("a");
    for (const frame of written) {
      expect(frame.lastIndexOf("\u001b[?7h")).toBeGreaterThan(frame.lastIndexOf("\u001b[?7l"));
      expect(frame.endsWith("\u001b[?2026l")).toBe(true);
    }
  });
});
