import { styleText } from "node:util";

const STYLES = {
  strong: "bold",
  faint: "dim",
  good: "green",
  bad: "red",
  caution: "yellow",
  title: ["bold", "underline"],
  variant1: "green",
  variant2: "cyan",
  variant3: "magenta",
  variant4: "yellow",
  variant5: "blue",
} as const;

export type Style = keyof typeof STYLES;

/** How text looks on the screen it goes to. */
export interface Theme {
  readonly columns: number;
  readonly hasColours: boolean;
  paint(style: Style, text: string): string;
}

export function createTheme({
  columns,
  hasColours,
}: {
  readonly columns: number;
  readonly hasColours: boolean;
}): Theme {
  const paint: Theme["paint"] = (style, text) => {
    const format = STYLES[style];
    // Whether there are colours was decided already, for this very screen.
    return hasColours && text !== ""
      ? styleText(typeof format === "string" ? format : [...format], text, { validateStream: false })
      : text;
  };
  return { columns, hasColours, paint };
}

export interface ColourWish {
  /** False with `--no-color`. */
  readonly colour: boolean;
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** no-color.org: NO_COLOR counts if it is not empty. FORCE_COLOR asks for colours where nobody seems to look, as in CI. */
export function wantsColours({ colour, isTerminal, env }: ColourWish): boolean {
  if (!colour || env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0";
  return isTerminal && env.TERM !== "dumb";
}
