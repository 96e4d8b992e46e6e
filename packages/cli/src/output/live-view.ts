import { stripVTControlCharacters } from "node:util";
import type { Screen } from "../world.ts";

/** Text that is drawn again in place. */
export interface LiveView {
  draw(text: string): void;
}

/**
 * A line that is wider than the screen goes on below. Each frame switches automatic wrapping off and on again by itself, so
 * that one line of text is one line of the screen, and so that nothing is left to repair when somebody presses Ctrl-C between
 * two frames. A frame higher than the screen is cut: what has scrolled away cannot be drawn over.
 */
export function createLiveView(screen: Screen): LiveView {
  let drawnLines = 0;
  return {
    draw(text) {
      const lines = text.split("\n").flatMap((line) => broken(line, screen.columns));
      const shown = lines.length < screen.rows ? lines : [...lines.slice(0, Math.max(1, screen.rows - 2)), "…"];
      const up = drawnLines > 0 ? `\u001b[${drawnLines}A` : "";
      screen.write(`${BEGIN}${up}\r${CLEAR_BELOW}${NO_WRAP}${shown.join("\n")}\n${WRAP}${END}`);
      drawnLines = shown.length;
    },
  };
}

/** What stands before the second column: a name, a time, or blanks below one. */
const FIRST_COLUMN = /^(?:\S+(?: \S+)*)?\s{2,}/;

/** Between words: the end of a sentence says why. The terminal would break it too, and the view would lose count of its lines. */
function broken(line: string, columns: number): string[] {
  const [before = ""] = FIRST_COLUMN.exec(stripVTControlCharacters(line)) ?? [];
  const indent = " ".repeat(Math.min(before.length, Math.floor(columns / 2)));
  const lines: string[] = [];
  let current = "";
  for (const [word] of line.matchAll(/\s*\S+/g)) {
    const isFull = current !== "" && widthOf(current + word) > columns;
    if (isFull) lines.push(current);
    current = isFull ? indent + word.trimStart() : current + word;
  }
  return [...lines, current];
}

const widthOf = (text: string): number => stripVTControlCharacters(text).length;

/** A terminal that knows synchronised output shows a frame at once; any other ignores this. */
const BEGIN = "\u001b[?2026h";
const END = "\u001b[?2026l";
const CLEAR_BELOW = "\u001b[J";
const NO_WRAP = "\u001b[?7l";
const WRAP = "\u001b[?7h";
