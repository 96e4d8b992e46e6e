import { GrowthBookClient } from "@growthbook/growthbook";
import { type Subject, versionOf } from "../subject.ts";
import { FLAGS, HOME, type Kind, ROLLOUT_PERCENT, USERS, VARIANTS } from "../workload.ts";

export function create(): Subject {
  const features = Object.fromEntries(FLAGS.map(({ key, kind }) => [key, feature(key, kind)]));
  const client = new GrowthBookClient().initSync({ payload: { features } });
  const contexts = USERS.map(({ key, country }) => ({ attributes: { id: key, country } }));
  return {
    version: versionOf("@growthbook/growthbook"),
    enabled(flag) {
      let count = 0;
      for (const context of contexts) if (client.isOn(flag, context)) count++;
      return count;
    },
    serves(flag, variant) {
      let count = 0;
      for (const context of contexts) if (client.getFeatureValue(flag, "", context) === variant) count++;
      return count;
    },
    enabledForEach(flags) {
      let count = 0;
      for (const context of contexts) {
        for (const flag of flags) if (client.isOn(flag, context)) count++;
      }
      return count;
    },
    close: () => client.destroy(),
  };
}

function feature(key: string, kind: Kind) {
  const rollout = { force: true, coverage: ROLLOUT_PERCENT / 100, hashAttribute: "id", hashVersion: 2, seed: key };
  if (kind === "off") return { defaultValue: false };
  if (kind === "rollout") return { defaultValue: false, rules: [rollout] };
  if (kind === "rule") {
    return { defaultValue: false, rules: [{ condition: { country: { $in: [...HOME] } }, force: true }, rollout] };
  }
  const [a, b, c] = VARIANTS;
  const experiment = {
    variations: [a.name, b.name, c.name] as [string, string, string],
    weights: [a.percent / 100, b.percent / 100, c.percent / 100],
    hashAttribute: "id",
    hashVersion: 2,
    key,
  };
  return { defaultValue: "", rules: [experiment] };
}
