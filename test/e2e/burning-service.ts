import { setInterval as everyMs } from "node:timers/promises";
import { createFlags } from "@bunting/sdk";

/*
 * A process of an application: a thousand requests a second, each by another user, through the flag `burning`. Both branches work
 * until SIGUSR2; from then on every request of the canary fails. Address, token and name come from the environment. What happens
 * is printed, a JSON line each: see {@link Event}.
 */

export type Event =
  /** Since the first request. */
  | { readonly type: "serving" }
  /** A request of the canary failed; `at` is Unix ms. */
  | { readonly type: "failed"; readonly at: number; readonly isBreakerOpen: boolean }
  /** A state of the server was applied. */
  | { readonly type: "applied"; readonly at: number; readonly revision: number }
  /** Each second. */
  | { readonly type: "served"; readonly requestCount: number; readonly canaryCount: number };

const REQUESTS_PER_TICK = 10;
const TICK_MS = 10;
const TICKS_PER_REPORT = 100;

const say = (event: Event): void => void process.stdout.write(`${JSON.stringify(event)}\n`);

const flags = createFlags({ cacheFile: false, instance: process.env.INSTANCE ?? "" });
let isFailing = false;
process.on("SIGUSR2", () => {
  isFailing = true;
});
flags.on("change", () => {
  const { position } = flags.status();
  if (position) say({ type: "applied", at: Date.now(), revision: position.revision });
});
await flags.ready();
say({ type: "serving" });

let requestCount = 0;
let canaryCount = 0;
let tickCount = 0;
for await (const _tick of everyMs(TICK_MS)) {
  for (let request = 0; request < REQUESTS_PER_TICK; request += 1) {
    requestCount += 1;
    serve(`${process.env.INSTANCE}-${requestCount}`);
  }
  tickCount += 1;
  if (tickCount % TICKS_PER_REPORT === 0) say({ type: "served", requestCount, canaryCount });
}

function serve(user: string): void {
  const branches = {
    on: () => {
      canaryCount += 1;
      if (isFailing) throw new Error("The canary burns.");
    },
    off: () => {},
  };
  try {
    flags.run("burning", user, branches);
  } catch {
    const isBreakerOpen = flags.status().breakers.length > 0;
    say({ type: "failed", at: Date.now(), isBreakerOpen });
  }
}
