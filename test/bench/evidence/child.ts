import { createHash } from "node:crypto";
import type { Ruleset } from "@bunting/contracts";
import { checksumInput, finalise, hashBucketingKey, rulesetChecksum } from "@bunting/engine";
import { createFlags } from "@bunting/sdk";
import { CANARY, OutcomeWindows } from "../../../sdk/src/breaker.ts";
import { CellCounters } from "../../../sdk/src/evidence/cell.ts";
import { UnitSet } from "../../../sdk/src/evidence/unit-set.ts";
import { measureBytes, measureTime, type Pass } from "../evaluate/measure.ts";
import { ruleset, USERS } from "../evaluate/workload.ts";

/* One part in a process of its own: `child.ts <part> time|bytes`, one line of JSON out. */

export interface Report {
  readonly samples: readonly number[];
}

const FLAG = "rollout-7";
const ROLLOUT = {
  id: "r-1",
  attempt: 1,
  stage: 0,
  canary: "on",
  control: "off",
  rule: null,
  groupSalt: 99,
  metrics: ["conversion"],
};
const [part = "", mode = "time"] = process.argv.slice(2);
const users = USERS.map(({ key, country }) => ({ key, country }));
const units = USERS.map(({ key }) => finalise(hashBucketingKey(key) ^ ROLLOUT.groupSalt));
const isQuiet = part === "quiet" || part === "runQuiet";
const flags = createFlags({ bootstrap: isQuiet ? ruleset() : withRollout(ruleset()), cacheFile: false });
const pass = passOf(part);
const samples = await (mode === "bytes" ? measureBytes(pass, USERS.length) : measureTime(pass, USERS.length));
console.log(JSON.stringify({ samples } satisfies Report));
process.exit(0);

/** Each loop is the part's own, so that nothing stands between it and its caller. */
function passOf(name: string): Pass {
  switch (name) {
    case "hash":
      return () => {
        let sum = 0;
        for (const { key } of users) sum += hashBucketingKey(key) & 1;
        return sum;
      };
    case "quiet":
    case "live":
      return () => {
        let on = 0;
        for (const user of users) if (flags.isEnabled(FLAG, user)) on++;
        return on;
      };
    case "request":
      flags.outcomes();
      return passOf("live");
    case "unit": {
      const set = new UnitSet();
      return () => {
        let sum = 0;
        for (let index = 0; index < units.length; index++) sum += set.add(units[index % 2_000] ?? 0);
        return sum;
      };
    }
    case "outcome": {
      const cell = new CellCounters({ rollout: "r", attempt: 1, stage: 0, variant: "on" }, 1, new UnitSet());
      return () => {
        for (let index = 0; index < units.length; index++) cell.settle(units[index] ?? 0, false, 1 + (index % 500));
        return 1;
      };
    }
    case "success": {
      const windows = new OutcomeWindows();
      let now = 0;
      return () => {
        for (let index = 0; index < units.length; index++) windows.succeeded(CANARY, (now += 0.1));
        return 1;
      };
    }
    case "runQuiet":
    case "run": {
      const branches = { on: () => 1, off: () => 0 };
      return () => {
        let on = 0;
        for (const user of users) on += flags.run(FLAG, user, branches);
        return on;
      };
    }
    case "expose":
      return () => {
        for (const user of users) flags.expose(FLAG, user).success();
        return 1;
      };
    case "track":
      return () => {
        for (const user of users) flags.track("conversion", user);
        return 1;
      };
    default:
      throw new Error(`There is no part ${name}.`);
  }
}

/** As the server writes an entry whose flag is in a rollout. */
function withRollout(whole: Ruleset): Ruleset {
  const flags = Object.fromEntries(
    Object.entries(whole.flags).map(([key, { checksum: _old, ...entry }]) => {
      const changed = key === FLAG ? { ...entry, rollout: ROLLOUT } : entry;
      const checksum = createHash("sha256").update(checksumInput(changed)).digest("hex").slice(0, 12);
      return [key, { ...changed, checksum }];
    }),
  ) as Ruleset["flags"];
  return { ...whole, flags, checksum: rulesetChecksum({ flags, segments: whole.segments }) };
}
