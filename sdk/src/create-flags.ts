import { startRunner } from "./lifecycle/runner.ts";
import { type FlagsOptions, resolveOptions } from "./options.ts";
import { createOutcomes, createRequestContext, type RequestContext } from "./outcomes.ts";
import { nodePlatform } from "./platform/node.ts";
import type { Platform } from "./ports.ts";
import { createEvaluator } from "./serving/evaluator.ts";
import { createPlacer } from "./serving/placement.ts";
import { createReporter } from "./serving/reporter.ts";
import type { Flags, User } from "./types.ts";

/**
 * Starts a client. It is usable at once: until the server has answered, the cache file, the bootstrap object, overrides and
 * code defaults decide.
 *
 * @example
 * const flags = createFlags({ url: "https://flags.example.com", token: process.env.BUNTING_TOKEN });
 * await flags.ready({ timeoutMs: 2_000 }); // "live"
 * flags.isEnabled("redis-readthrough", { key: "u-1", country: "FR" }); // true
 *
 * @throws TypeError for a mistake that no later event can mend: an unknown option, an address that is none, `http` to another
 * machine, an address without a token. A server that does not answer is no such mistake.
 */
export function createFlags<Subject = User>(options: FlagsOptions<Subject> = {}): Flags<Subject> {
  return createFlagsOn(nodePlatform(), options);
}

/** The same in another world: a test's, a browser's. */
export function createFlagsOn<Subject = User>(platform: Platform, options: FlagsOptions<Subject>): Flags<Subject> {
  const resolved = resolveOptions(options, platform);
  const runner = startRunner(platform, resolved);
  let requests: RequestContext | null = null;
  return {
    ...createEvaluator(runner.serving, resolved.identify),
    ...createReporter(runner.serving, runner.book, resolved.identify),
    place: createPlacer(runner.serving, resolved.identify),
    outcomes(outcomes = {}) {
      requests ??= createRequestContext(platform, runner.book);
      return createOutcomes(requests, outcomes);
    },
    ready: (limits) => runner.ready(limits),
    on: (name, listener) => runner.listeners.add(name, listener),
    status: () => runner.status(),
    flush: () => runner.flush(),
    close: () => runner.close(),
  };
}
