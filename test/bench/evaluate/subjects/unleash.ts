import { once } from "node:events";
import { InMemStorageProvider, Unleash } from "unleash-client";
import { NOWHERE, type Subject, versionOf } from "../subject.ts";
import { FLAGS, HOME, type Kind, ROLLOUT_PERCENT, USERS, VARIANTS } from "../workload.ts";

type Feature = ReturnType<typeof feature>;

export async function create(): Promise<Subject> {
  const client = new Unleash({
    appName: "bench",
    url: NOWHERE,
    refreshInterval: 0,
    metricsInterval: 3_600_000,
    // It types its own wire format with an enumeration that it does not export.
    bootstrap: { bootstrapProvider: { readBootstrap: () => Promise.resolve(response(FLAGS.map(feature))) } },
    storageProvider: new InMemStorageProvider(),
    skipInstanceCountWarning: true,
    disableAutoStart: true,
  });
  // Fetching and registering fail, since nobody listens: the bootstrap is what there is.
  client.on("error", () => {}).on("warn", () => {});
  const ready = once(client, "ready");
  await client.start();
  await ready;
  const contexts = USERS.map(({ key, country }) => ({ userId: key, properties: { country } }));
  return {
    version: versionOf("unleash-client"),
    enabled(flag) {
      let count = 0;
      for (const context of contexts) if (client.isEnabled(flag, context)) count++;
      return count;
    },
    serves(flag, variant) {
      let count = 0;
      for (const context of contexts) if (client.getVariant(flag, context).name === variant) count++;
      return count;
    },
    enabledForEach(flags) {
      let count = 0;
      for (const context of contexts) {
        for (const flag of flags) if (client.isEnabled(flag, context)) count++;
      }
      return count;
    },
    close: () => client.destroy(),
  };
}

function feature({ key, kind }: { readonly key: string; readonly kind: Kind }) {
  const flexible = (rollout: number) => ({
    name: "flexibleRollout",
    parameters: { rollout: String(rollout), stickiness: "userId", groupId: key },
    constraints: [] as unknown[],
  });
  const home = { contextName: "country", operator: "IN", values: HOME, inverted: false, caseInsensitive: false };
  const strategies = {
    off: [flexible(ROLLOUT_PERCENT)],
    rollout: [flexible(ROLLOUT_PERCENT)],
    rule: [{ name: "default", parameters: {}, constraints: [home] }, flexible(ROLLOUT_PERCENT)],
    variants: [flexible(100)],
  }[kind];
  const variants = VARIANTS.map(({ name, percent }) => ({
    name,
    weight: percent * 10,
    weightType: "variable",
    stickiness: "userId",
  }));
  return {
    name: key,
    type: "release",
    enabled: kind !== "off",
    stale: false,
    impressionData: false,
    project: "default",
    strategies,
    variants: kind === "variants" ? variants : [],
  };
}

/** The bootstrap goes through JSON in real life; here through one cast. */
function response(features: readonly Feature[]): never {
  return { version: 2, features } as never;
}
