import { inWords } from "./limit.ts";
import { ASSERTIONS, type MetricName } from "./metrics.ts";
import type { Scorecard } from "./scorecard.ts";

const LABEL_WIDTH = 30;
const VALUE_WIDTH = 40;

/** Tells what is going on, and writes down what is measured. Every figure in it was. */
export class Report {
  readonly card: Scorecard;
  private readonly print: (line: string) => void;

  constructor(card: Scorecard, print: (line: string) => void) {
    this.card = card;
    this.print = print;
  }

  title(text: string): void {
    this.print(`${text}\n${"=".repeat(text.length)}`);
  }

  chapter(text: string): void {
    this.print(`\n${text}\n${"-".repeat(text.length)}`);
  }

  say(label: string, text: string): void {
    this.print(`  ${label.padEnd(LABEL_WIDTH)} ${text}`);
  }

  /** `of`: what the value was measured of, where there are several. */
  measure(name: MetricName, value: number, of = ""): void {
    const { limit, unit } = this.card.metrics[name];
    const isFine = this.card.add(name, value);
    const measured = `${figure(value)} ${unit}`.trim() + (of === "" ? "" : ` (${of})`);
    this.say(name, `${measured.padEnd(VALUE_WIDTH)} ${tick(isFine)} ${inWords(limit)}`);
  }

  end(): void {
    this.chapter("METRICS SUMMARY");
    for (const name of this.card.names()) {
      const { limit, unit } = this.card.metrics[name];
      const values = summary(this.card.valuesOf(name), unit);
      this.say(name, `${values.padEnd(VALUE_WIDTH)} ${tick(this.card.metricHolds(name))} ${inWords(limit)}`);
    }
    this.chapter("ASSERTIONS");
    for (const assertion of ASSERTIONS) {
      const isFine = this.card.assertionHolds(assertion);
      this.print(`  ${tick(isFine)} ${assertion}: ${isFine ? "PASS" : "FAIL"}`);
    }
    this.print(`\nResult: ${this.card.isPassed ? "PASSED" : "FAILED"}`);
  }
}

/** Enough digits to compare with a limit, and no more. */
function figure(value: number): string {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1);
}

export function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

/** "v1 90 (90.0 %), v2 10 (10.0 %)" */
export function shares(counts: Readonly<Record<string, number>>): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([version, count]) => `${version} ${count} (${((count * 100) / total).toFixed(1)} %)`)
    .join(", ");
}

function summary(values: readonly number[], unit: string): string {
  const figures = [...new Set(values.map(figure))];
  if (figures.length === 0) return "never measured";
  const all =
    figures.length <= 5 ? figures.join(", ") : `${figure(Math.min(...values))} to ${figure(Math.max(...values))}`;
  return `${all} ${unit}`.trim();
}

function tick(isFine: boolean): string {
  return isFine ? "✓" : "✗";
}
