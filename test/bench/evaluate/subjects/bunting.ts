import { createFlags } from "@bunting/sdk";
import type { Subject } from "../subject.ts";
import { ruleset, USERS } from "../workload.ts";

export async function create(): Promise<Subject> {
  const client = createFlags({ bootstrap: ruleset(), cacheFile: false });
  await client.ready({ timeoutMs: 5_000 });
  const users = USERS.map(({ key, country }) => ({ key, country }));
  return {
    version: "",
    enabled(flag) {
      let count = 0;
      for (const user of users) if (client.isEnabled(flag, user)) count++;
      return count;
    },
    serves(flag, variant) {
      let count = 0;
      for (const user of users) if (client.variant(flag, user) === variant) count++;
      return count;
    },
    enabledForEach(flags) {
      let count = 0;
      for (const user of users) {
        for (const flag of flags) if (client.isEnabled(flag, user)) count++;
      }
      return count;
    },
    close: () => client.close(),
  };
}
