import type { Configuration, RolloutPlan, Serve } from "@bunting/contracts";

/** What of a configuration a rollout may change. */
export type ScopedConfiguration = Pick<Configuration, "rules" | "fallthrough">;

/** What the scope serves; null if it names a rule that is not there. */
export function serveOfScope({ rules, fallthrough }: ScopedConfiguration, scope: RolloutPlan["scope"]): Serve | null {
  if ("fallthrough" in scope) return fallthrough;
  return rules.find(({ id }) => id === scope.rule)?.serve ?? null;
}

/** The configuration with another answer in the scope, and nothing else changed. */
export function withServeOfScope(
  { rules, fallthrough }: ScopedConfiguration,
  scope: RolloutPlan["scope"],
  serve: Serve,
): ScopedConfiguration {
  if ("fallthrough" in scope) return { rules, fallthrough: serve };
  return { rules: rules.map((rule) => (rule.id === scope.rule ? { ...rule, serve } : rule)), fallthrough };
}
