import type { Listeners } from "./listeners.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Clock } from "./ports.ts";

/**
 * How often each version has broken in this process since it was last loaded on request, as gauges of the environment: a rollout
 * whose plan names its canary's takes the canary back from every process when one of them says more than zero.
 *
 * The outcomes alone do not show a break where a version has a few entities, or all of them: among thousands of good batches
 * it is no rate. The server judges by the worst that it was told within the latest two intervals of ten seconds. So whoever has
 * nothing to say speaks up once, for without a value the rollout waits, and then hardly ever; whoever has broken says so with
 * every batch of telemetry until its version is mended, so that nobody's good word hides it. A mended one says so at once, and
 * again when the intervals of its failures are past: until then they count as well, and if nobody spoke, for good. After a
 * change of the flag all speak once more: a rollout begins with one, and listens to nothing that was said before it.
 */
export interface FailureGauges {
  /** Somebody has loaded it again: what broke before counts no more. */
  mended(version: string): void;
  /** The flag is another one: perhaps an attempt has begun, and of before it no value counts. */
  flagChanged(): void;
  /** To be called from time to time. */
  repeat(): void;
}

/** How often a process repeats that nothing is wrong. A plan allows such values twice this age. */
const REPEATED_AFTER_MS = 3_600_000;
/** Values are dated by the beginning of their interval of ten seconds: one from the next interval is surely of after the change. */
const REPEATED_AFTER_CHANGE_MS = 10_000;
/** The interval of a failure and the next one are judged as one; two later it is past. */
const REPEATED_AFTER_MENDING_MS = 20_000;
/** Of the contracts: letters in lower case, digits and underscores. */
const METRIC_CHARACTERS = 64;

export function createFailureGauges(
  { flag, versions }: Pick<ResolvedOptions, "flag" | "versions">,
  { clock, listeners }: { readonly clock: Clock; readonly listeners: Listeners },
): FailureGauges {
  if (flag === null) return { mended() {}, flagChanged() {}, repeat() {} };
  const { flags, key } = flag;
  const counts = new Map([...versions.keys()].map((version) => [version, 0]));
  let dueAt = clock.monotonic() + REPEATED_AFTER_MS;
  let mendedAt = -Infinity;
  const tell = (version: string, count: number): void => {
    counts.set(version, count);
    flags.gauge(failureMetric(key, version), count);
  };
  const tellAll = (): void => counts.forEach((count, version) => tell(version, count));
  const send = (): void => void flags.flush();
  tellAll();
  send();
  listeners.add("failure", ({ version }) => {
    tell(version, (counts.get(version) ?? 0) + 1);
    // With the outcomes of the batch that it broke at, which have been reported before.
    send();
  });
  return {
    mended(version) {
      if (counts.get(version) !== 0) {
        mendedAt = clock.monotonic();
        dueAt = Math.min(dueAt, mendedAt + REPEATED_AFTER_MENDING_MS);
      }
      tell(version, 0);
      send();
    },
    flagChanged() {
      dueAt = Math.min(dueAt, clock.monotonic() + REPEATED_AFTER_CHANGE_MS);
    },
    repeat() {
      const now = clock.monotonic();
      if (now >= dueAt) {
        const isPast = now >= mendedAt + REPEATED_AFTER_MENDING_MS;
        dueAt = isPast ? now + REPEATED_AFTER_MS : mendedAt + REPEATED_AFTER_MENDING_MS;
        return tellAll();
      }
      for (const [version, count] of counts) if (count > 0) tell(version, count);
    },
  };
}

/** `failures_game_logic_v2`. Of a name that would be too long the flag's key gives way. */
function failureMetric(flag: string, version: string): string {
  const [prefix, suffix] = ["failures_", `_${metricWord(version)}`.slice(0, METRIC_CHARACTERS / 2)];
  return prefix + metricWord(flag).slice(0, METRIC_CHARACTERS - prefix.length - suffix.length) + suffix;
}

function metricWord(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "_");
}
