import type { Configuration, Rule, Serve } from "@bunting/contracts";
import { bar, legend, sharesOf } from "./bar.ts";
import type { Theme } from "./theme.ts";
import { conditionsInWords, serveInWords } from "./words.ts";

/** One thing that is not as it was. */
export type Difference =
  | { readonly kind: "text"; readonly what: string; readonly before: string; readonly after: string }
  | { readonly kind: "serve"; readonly what: string; readonly before: Serve; readonly after: Serve };

type Compared = Omit<Configuration, "version" | "salt" | "cohort">;

/** What changed between two states of a configuration, in the order of evaluation. Its version is no difference. */
export function differences(before: Compared, after: Compared): Difference[] {
  return [
    ...text("killed", killWords(before), killWords(after)),
    ...text("enabled", yesNo(before.enabled), yesNo(after.enabled)),
    ...text("off variant", before.offVariant, after.offVariant),
    ...text("bucket by", before.bucketBy.join(", "), after.bucketBy.join(", ")),
    ...text("prerequisites", prerequisiteWords(before), prerequisiteWords(after)),
    ...pinDifferences(before, after),
    ...ruleDifferences(before.rules, after.rules),
    ...serveDifference("fallthrough", before.fallthrough, after.fallthrough),
  ];
}

/** Before and after under one another, splits as bars. */
export function renderDifferences(
  changed: readonly Difference[],
  flag: { readonly variants: readonly string[]; readonly offVariant: string },
  theme: Theme,
): string {
  if (changed.length === 0) return theme.paint("faint", "Nothing changed.");
  const width = Math.max(...changed.map(({ what }) => what.length));
  const indent = " ".repeat(width);
  return changed
    .map((difference) => {
      const [before, after] =
        difference.kind === "serve"
          ? [serveLine(difference.before, flag, theme), serveLine(difference.after, flag, theme)]
          : [difference.before, difference.after];
      return [
        `${theme.paint("strong", difference.what.padEnd(width))}  ${theme.paint("bad", "-")} ${before}`,
        `${indent}  ${theme.paint("good", "+")} ${after}`,
      ].join("\n");
    })
    .join("\n");
}

const BAR_WIDTH = 30;

function serveLine(
  serve: Serve,
  flag: { readonly variants: readonly string[]; readonly offVariant: string },
  theme: Theme,
): string {
  const shares = sharesOf(serve, flag.variants, flag.offVariant);
  return `${bar(shares, BAR_WIDTH, theme)}  ${legend(shares, theme)}`;
}

function text(what: string, before: string, after: string): Difference[] {
  return before === after ? [] : [{ kind: "text", what, before: before || "none", after: after || "none" }];
}

function serveDifference(what: string, before: Serve, after: Serve): Difference[] {
  return serveInWords(before) === serveInWords(after) ? [] : [{ kind: "serve", what, before, after }];
}

function pinDifferences(before: Compared, after: Compared): Difference[] {
  const variants = new Set([...Object.keys(before.pins), ...Object.keys(after.pins)]);
  return [...variants].flatMap((variant) => {
    const [old, now] = [pinsOf(before, variant), pinsOf(after, variant)];
    return text(`pinned to ${variant}`, old.join(", "), now.join(", "));
  });
}

function ruleDifferences(before: readonly Rule[], after: readonly Rule[]): Difference[] {
  const old = new Map(before.map((rule) => [String(rule.id), rule]));
  const now = new Map(after.map((rule) => [String(rule.id), rule]));
  const kept = (rules: readonly Rule[], others: ReadonlyMap<string, Rule>): string =>
    rules.flatMap(({ id }) => (others.has(id) ? [id] : [])).join(", ");
  return [
    ...before.filter(({ id }) => !now.has(id)).flatMap((rule) => text(`rule ${rule.id}`, ruleInWords(rule), "")),
    ...after.flatMap((rule): Difference[] => {
      const previous = old.get(rule.id);
      if (!previous) return text(`rule ${rule.id}`, "", ruleInWords(rule));
      return [
        ...text(`rule ${rule.id}`, conditionsInWords(previous.when), conditionsInWords(rule.when)),
        ...serveDifference(`rule ${rule.id}`, previous.serve, rule.serve),
      ];
    }),
    ...text("order of rules", kept(before, now), kept(after, old)),
  ];
}

function ruleInWords(rule: Rule): string {
  return `${conditionsInWords(rule.when)} → ${serveInWords(rule.serve)}`;
}

function pinsOf({ pins }: Compared, variant: string): readonly string[] {
  return (pins as Readonly<Record<string, readonly string[]>>)[variant] ?? [];
}

function killWords({ killed }: Compared): string {
  return killed ? `by ${killed.by}: ${killed.reason}` : "no";
}

function prerequisiteWords({ prerequisites }: Compared): string {
  return prerequisites.map(({ flag, variants }) => `${flag} serves ${variants.join(" or ")}`).join(", ");
}

function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}
