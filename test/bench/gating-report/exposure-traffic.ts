import type { EvidenceInterval } from "@bunting/gating";
import { INTERVALS_PER_HOUR } from "./error-traffic.ts";
import type { Random } from "./random.ts";
import { bump, createUsers, emptyArm, finished } from "./request-traffic.ts";

/*
 * Who comes, and nothing of what becomes of it: all that a test of the split looks at, and several times as fast as requests with
 * outcomes. The same users as there, who come back and differ in how busy they are.
 */

export interface ExposureSetting {
  readonly requestsPerSecond: number;
  readonly requestsPerUserAndHour: number;
  /** The canary's, 0-1. */
  readonly shareRate: number;
  /** Share of the canary's requests of which nothing is heard. */
  readonly lostRate: number;
}

/** The same ten seconds twice: as they were, and as they are heard of when a part of the canary's is lost. */
export interface HeardExposures {
  readonly whole: EvidenceInterval;
  readonly lossy: EvidenceInterval;
}

export function createExposureTraffic(setting: ExposureSetting, random: Random): (index: number) => HeardExposures {
  const userCount = Math.round((setting.requestsPerSecond * 3600) / setting.requestsPerUserAndHour);
  const users = createUsers(userCount, random);
  const trafficPhase = 2 * Math.PI * random.uniform();
  const came = new Int32Array(userCount).fill(-1);
  const heard = new Int32Array(userCount).fill(-1);

  return (index) => {
    const canary = emptyArm();
    const heardCanary = emptyArm();
    const control = emptyArm();
    const wave = 1 + 0.3 * Math.sin((2 * Math.PI * index) / INTERVALS_PER_HOUR + trafficPhase);
    const requestCount = random.poisson(setting.requestsPerSecond * 10 * wave);
    const count = (arm: ReturnType<typeof emptyArm>, user: number, lastIn: Int32Array): void => {
      arm.exposureCount += 1;
      if (lastIn[user] === index) return;
      lastIn[user] = index;
      arm.unitCount += 1;
      bump(arm.groups.unitCount, users.group[user] ?? 0);
    };
    for (let request = 0; request < requestCount; request += 1) {
      const user = users.pick[random.below(users.pick.length)] ?? 0;
      if ((users.place[user] ?? 0) >= setting.shareRate) {
        count(control, user, came);
        continue;
      }
      count(canary, user, came);
      if (random.uniform() >= setting.lostRate) count(heardCanary, user, heard);
    }
    const interval = { interval: index, stage: 0, control: finished(control) };
    return {
      whole: { ...interval, canary: finished(canary) },
      lossy: { ...interval, canary: finished(heardCanary) },
    };
  };
}
