/*
 * Pictures in plain SVG: no script, no font to load, legible on a light and on a dark page.
 */

export interface Series {
  readonly name: string;
  readonly ours: boolean;
  /** One value per category; null: none. */
  readonly values: readonly (number | null)[];
}

export interface DotChart {
  readonly title: string;
  readonly subtitle: string;
  readonly categories: readonly string[];
  readonly series: readonly Series[];
  /** Of the logarithmic axis. */
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly { readonly value: number; readonly text: string }[];
  /** A value worth a line. */
  readonly bar?: { readonly value: number; readonly text: string };
}

const LABEL = 210;
const PLOT = 560;
const ROW = 26;
const TOP = 74;
const PALETTE = ["#8c6d31", "#ad494a", "#7b4173", "#637939", "#3182bd", "#e6550d", "#d62728"];
const SHAPES = ["circle", "square", "diamond", "triangle", "cross", "ring", "disc"] as const;

/** A row per category, a mark per method: who is where is read across, how they differ from row to row is read down. */
export function dotChart({ title, subtitle, categories, series, from, to, ticks, bar }: DotChart): string {
  const x = (value: number): number =>
    LABEL + (PLOT * Math.log(Math.min(to, Math.max(from, value)) / from)) / Math.log(to / from);
  const height = TOP + ROW * categories.length + 34 + 22 * Math.ceil(series.length / 3);
  const bottom = TOP + ROW * categories.length;
  const parts = [
    text(16, 24, title, 'font-size="15" font-weight="600"'),
    text(16, 44, subtitle, 'font-size="12" fill="#666"'),
    ...ticks.flatMap(({ value, text: label }) => [
      `<line x1="${at(x(value))}" y1="${TOP - 8}" x2="${at(x(value))}" y2="${bottom}" stroke="#ddd"/>`,
      text(x(value), bottom + 16, label, 'font-size="11" fill="#666" text-anchor="middle"'),
    ]),
    ...(bar
      ? [
          `<line x1="${at(x(bar.value))}" y1="${TOP - 12}" x2="${at(x(bar.value))}" y2="${bottom}" stroke="#111" stroke-dasharray="4 3"/>`,
          text(x(bar.value) + 4, TOP - 10, bar.text, 'font-size="11"'),
        ]
      : []),
    ...categories.map((category, row) =>
      text(LABEL - 12, TOP + ROW * row + 17, category, 'font-size="12" text-anchor="end"'),
    ),
    ...series.flatMap(({ values }, index) =>
      values.map((value, row) => (value === null ? "" : mark(index, x(value), TOP + ROW * row + 13))),
    ),
    ...series.flatMap(({ name, ours }, index) => {
      const left = 30 + 260 * (index % 3);
      const top = bottom + 44 + 22 * Math.floor(index / 3);
      return [
        mark(index, left, top - 4),
        text(left + 14, top, name, `font-size="12"${ours ? ' font-weight="600"' : ""}`),
      ];
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${LABEL + PLOT + 40}" height="${height}" viewBox="0 0 ${LABEL + PLOT + 40} ${height}" font-family="system-ui, sans-serif" role="img" aria-label="${escape(title)}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...parts.filter((part) => part !== ""),
    "</svg>",
    "",
  ].join("\n");
}

function mark(index: number, x: number, y: number): string {
  const color = PALETTE[index % PALETTE.length] ?? "#000";
  const shape = SHAPES[index % SHAPES.length] ?? "disc";
  switch (shape) {
    case "circle":
      return `<circle cx="${at(x)}" cy="${at(y)}" r="4" fill="${color}"/>`;
    case "square":
      return `<rect x="${at(x - 4)}" y="${at(y - 4)}" width="8" height="8" fill="${color}"/>`;
    case "diamond":
      return path(color, x, y, [0, -5.5, 5.5, 0, 0, 5.5, -5.5, 0]);
    case "triangle":
      return path(color, x, y, [0, -5, 5, 4, -5, 4]);
    case "cross":
      return `<path d="M${at(x - 4)} ${at(y - 4)}L${at(x + 4)} ${at(y + 4)}M${at(x + 4)} ${at(y - 4)}L${at(x - 4)} ${at(y + 4)}" stroke="${color}" stroke-width="2"/>`;
    case "ring":
      return `<circle cx="${at(x)}" cy="${at(y)}" r="5.5" fill="none" stroke="${color}" stroke-width="2.5"/>`;
    case "disc":
      return `<circle cx="${at(x)}" cy="${at(y)}" r="6" fill="${color}"/>`;
  }
}

function path(color: string, x: number, y: number, points: readonly number[]): string {
  const steps: string[] = [];
  for (let index = 0; index < points.length; index += 2) {
    steps.push(`${at(x + (points[index] ?? 0))} ${at(y + (points[index + 1] ?? 0))}`);
  }
  return `<path d="M${steps.join("L")}Z" fill="${color}"/>`;
}

const at = (value: number): string => String(Math.round(value * 10) / 10);
const escape = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
const text = (x: number, y: number, words: string, style: string): string =>
  `<text x="${at(x)}" y="${at(y)}" ${style}>${escape(words)}</text>`;
