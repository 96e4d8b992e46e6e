import { basicLogger, init, integrations } from "@launchdarkly/node-server-sdk";
import { NOWHERE, type Subject, versionOf } from "../subject.ts";
import { FLAGS, HOME, type Kind, ROLLOUT_PERCENT, USERS, VARIANTS } from "../workload.ts";

export async function create(): Promise<Subject> {
  const data = new integrations.TestData();
  for (const { key, kind } of FLAGS) await data.usePreconfiguredFlag({ key, version: 1, ...settings(kind) });
  const client = init("sdk-00000000-0000-0000-0000-000000000000", {
    updateProcessor: data.getFactory(),
    eventsUri: NOWHERE,
    diagnosticOptOut: true,
    logger: basicLogger({ level: "none" }),
  });
  await client.waitForInitialization({ timeout: 5 });
  const contexts = USERS.map(({ key, country }) => ({ kind: "user", key, country }));
  return {
    version: versionOf("@launchdarkly/node-server-sdk"),
    async enabled(flag) {
      let count = 0;
      for (const context of contexts) if (await client.boolVariation(flag, context, false)) count++;
      return count;
    },
    async serves(flag, variant) {
      let count = 0;
      for (const context of contexts) if ((await client.stringVariation(flag, context, "")) === variant) count++;
      return count;
    },
    async enabledForEach(flags) {
      let count = 0;
      for (const context of contexts) {
        for (const flag of flags) if (await client.boolVariation(flag, context, false)) count++;
      }
      return count;
    },
    close: () => client.close(),
  };
}

function settings(kind: Kind) {
  const common = { salt: "salt", offVariation: 1, targets: [], prerequisites: [], rules: [] as unknown[] };
  const rollout = {
    rollout: {
      variations: [
        { variation: 0, weight: ROLLOUT_PERCENT * 1000 },
        { variation: 1, weight: (100 - ROLLOUT_PERCENT) * 1000 },
      ],
    },
  };
  const boolean = { ...common, on: true, variations: [true, false], fallthrough: rollout };
  if (kind === "off") return { ...boolean, on: false };
  if (kind === "rollout") return boolean;
  if (kind === "rule") {
    const clause = { contextKind: "user", attribute: "country", op: "in", values: HOME, negate: false };
    return { ...boolean, rules: [{ id: "home", clauses: [clause], variation: 0 }] };
  }
  const variations = VARIANTS.map(({ percent }, variation) => ({ variation, weight: percent * 1000 }));
  return {
    ...common,
    on: true,
    variations: VARIANTS.map(({ name }) => name),
    fallthrough: { rollout: { variations } },
  };
}
