import { measureBytes, measureTime } from "./measure.ts";
import type { CreateSubject } from "./subject.ts";
import { SCENARIOS, USERS } from "./workload.ts";

/* One subject in a process of its own: `child.ts <subject> time|bytes`, one line of JSON out. */

export interface Report {
  readonly version: string;
  readonly results: readonly { readonly scenario: string; readonly samples: readonly number[] }[];
  /** Shares that are further from the configured ones than chance allows. */
  readonly wrong: readonly string[];
}

const [name = "", mode = "time"] = process.argv.slice(2);
const { create } = (await import(`./subjects/${name}.ts`)) as { readonly create: CreateSubject };
const subject = await create();
const results: { scenario: string; samples: readonly number[] }[] = [];
const wrong: string[] = [];

for (const scenario of SCENARIOS) {
  for (const { variant, share } of scenario.shares) {
    const observed = (await count(scenario.flags, variant)) / (USERS.length * scenario.flags.length);
    // Five standard deviations of one flag's share.
    const tolerance = 5 * Math.sqrt((share * (1 - share)) / USERS.length);
    if (Math.abs(observed - share) > tolerance)
      wrong.push(`${scenario.name}, ${variant}: ${observed} instead of ${share}`);
  }
  const pass = () => count(scenario.flags, scenario.variant);
  const evaluations = USERS.length * scenario.flags.length;
  results.push({
    scenario: scenario.name,
    samples: mode === "bytes" ? await measureBytes(pass, evaluations) : await measureTime(pass, evaluations),
  });
}
await subject.close();
console.log(JSON.stringify({ version: subject.version, results, wrong } satisfies Report));
process.exit(0);

function count(flags: readonly string[], variant: string | true): number | Promise<number> {
  const [flag = "", ...more] = flags;
  if (more.length > 0) return subject.enabledForEach(flags);
  return variant === true ? subject.enabled(flag) : subject.serves(flag, variant);
}
