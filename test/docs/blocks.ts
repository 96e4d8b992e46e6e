/** A fenced block of a Markdown document. */
export interface Block {
  /** What stands behind the fence: `ts`, `sh`, … */
  readonly language: string;
  readonly text: string;
  /** Of its first line, counted from 1. */
  readonly line: number;
  /** The last heading above it, without its signs; empty if there is none. */
  readonly heading: string;
}

export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let heading = "";
  let open: { readonly language: string; readonly line: number; readonly lines: string[] } | null = null;
  for (const [index, line] of markdown.split("\n").entries()) {
    const fence = /^ *```(.*)$/.exec(line);
    if (open !== null) {
      if (fence === null) open.lines.push(line);
      else {
        blocks.push({ language: open.language, text: `${open.lines.join("\n")}\n`, line: open.line, heading });
        open = null;
      }
    } else if (fence !== null) open = { language: (fence[1] ?? "").trim(), line: index + 2, lines: [] };
    else if (/^#+ /.test(line)) heading = line.replace(/^#+ /, "");
  }
  return blocks;
}
