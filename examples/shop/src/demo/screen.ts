import type { WriteStream } from "node:tty";

/** Where the story is told. On a terminal a line can move; anywhere else each line is printed once, when it is final. */
export interface Screen {
  chapter(title: string): void;
  say(text: string): void;
  /** An empty line. */
  gap(): void;
  /** Shows what `line` returns, ten times a second on a terminal, until `during` settles; the last state stays. */
  watch(line: () => string, during: Promise<unknown>): Promise<void>;
  claim(holds: boolean, text: string): void;
  end(text: string): void;
}

const REDRAW_MS = 100;

export function createScreen(output: Pick<WriteStream, "write" | "isTTY">, { color }: { color: boolean }): Screen {
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const print = (text: string): void => void output.write(`${text}\n`);
  let chapters = 0;

  return {
    chapter: (title) => print(`\n${paint(1, `${++chapters}. ${title}`)}`),
    end: (text) => print(`\n${paint(1, text)}`),
    gap: () => print(""),
    say: (text) => print(`   ${text}`),
    claim: (holds, text) => print(`   ${holds ? paint(32, "✓") : paint(31, "✗")} ${text}`),
    async watch(line, during) {
      const redraw = (): void => void output.write(`\r\u001b[2K   ${line()}`);
      const timer = output.isTTY ? setInterval(redraw, REDRAW_MS) : undefined;
      try {
        await during;
      } finally {
        clearInterval(timer);
        if (output.isTTY) redraw();
        print(output.isTTY ? "" : `   ${line()}`);
      }
    },
  };
}
