import { FlagdCore } from "@openfeature/flagd-core";
import { type Subject, versionOf } from "../subject.ts";
import { FLAGS, HOME, type Kind, ROLLOUT_PERCENT, USERS, VARIANTS } from "../workload.ts";

export function create(): Subject {
  const core = new FlagdCore();
  core.setConfigurations(
    JSON.stringify({ flags: Object.fromEntries(FLAGS.map(({ key, kind }) => [key, flagOf(kind)])) }),
  );
  const contexts = USERS.map(({ key, country }) => ({ targetingKey: key, country }));
  return {
    version: versionOf("@openfeature/flagd-core"),
    enabled(flag) {
      let count = 0;
      for (const context of contexts) if (core.resolveBooleanEvaluation(flag, false, context).value) count++;
      return count;
    },
    serves(flag, variant) {
      let count = 0;
      for (const context of contexts) if (core.resolveStringEvaluation(flag, "", context).value === variant) count++;
      return count;
    },
    enabledForEach(flags) {
      let count = 0;
      for (const context of contexts) {
        for (const flag of flags) if (core.resolveBooleanEvaluation(flag, false, context).value) count++;
      }
      return count;
    },
    close() {},
  };
}

function flagOf(kind: Kind) {
  const rollout = {
    fractional: [
      ["on", ROLLOUT_PERCENT],
      ["off", 100 - ROLLOUT_PERCENT],
    ],
  };
  const boolean = { state: "ENABLED", variants: { on: true, off: false }, defaultVariant: "off" };
  if (kind === "off") return { ...boolean, state: "DISABLED" };
  if (kind === "rollout") return { ...boolean, targeting: rollout };
  if (kind === "rule") return { ...boolean, targeting: { if: [{ in: [{ var: "country" }, HOME] }, "on", rollout] } };
  return {
    state: "ENABLED",
    variants: Object.fromEntries(VARIANTS.map(({ name }) => [name, name])),
    defaultVariant: "c",
    targeting: { fractional: VARIANTS.map(({ name, percent }) => [name, percent]) },
  };
}
