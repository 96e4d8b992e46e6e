import type { Configuration, Serve } from "@bunting/contracts";
import { bar, legend, sharesOf } from "./bar.ts";
import { facts } from "./table.ts";
import type { Theme } from "./theme.ts";
import { conditionsInWords, formatCount, formatInstant } from "./words.ts";

/** One word for what matters most: `killed`, `disabled`, `enabled`. */
export function stateOf({ killed, enabled }: Pick<Configuration, "killed" | "enabled">, theme: Theme): string {
  if (killed) return theme.paint("bad", "killed");
  return enabled ? theme.paint("good", "enabled") : theme.paint("caution", "disabled");
}

const BAR_WIDTH = 40;
const PINS_SHOWN = 10;

/** A configuration as sentences and bars, in the order of evaluation. */
export function renderConfiguration(configuration: Configuration, variants: readonly string[], theme: Theme): string {
  const { killed, offVariant, bucketBy, prerequisites, pins, rules, cohort } = configuration;
  const served = (serve: Serve): string => {
    const shares = sharesOf(serve, variants, offVariant);
    return `${bar(shares, BAR_WIDTH, theme)}  ${legend(shares, theme)}`;
  };
  const inEffect = killed === null && configuration.enabled;
  return [
    ...(killed
      ? [theme.paint("bad", `killed by ${killed.by} at ${formatInstant(killed.at)} UTC: ${killed.reason}`)]
      : []),
    ...(inEffect ? [] : [theme.paint("caution", `serves ${offVariant} to everyone; what follows waits`)]),
    facts(
      [
        ...prerequisites.map(
          ({ flag, variants }): Fact => ["requires", `${flag} to serve ${variants.join(" or ")}, else ${offVariant}`],
        ),
        ...Object.entries(pins).map(([variant, keys]): Fact => [`pinned to ${variant}`, listed(keys)]),
        ...rules.flatMap(({ id, when, serve }): Fact[] => [
          [`rule ${id}`, `if ${conditionsInWords(when)}`],
          ["", served(serve)],
        ]),
        [rules.length > 0 ? "everyone else" : "everyone", served(configuration.fallthrough)],
        ["off variant", inEffect ? offVariant : undefined],
        ["bucketed by", bucketBy.length === 1 && bucketBy[0] === "key" ? undefined : bucketBy.join(", else ")],
        ["cohort", cohort ?? undefined],
      ],
      theme,
    ),
  ].join("\n");
}

type Fact = readonly [name: string, value: string | undefined];

function listed(keys: readonly string[]): string {
  const hidden = keys.length - PINS_SHOWN;
  return `${keys.slice(0, PINS_SHOWN).join(", ")}${hidden > 0 ? ` and ${formatCount(hidden)} more` : ""}`;
}
