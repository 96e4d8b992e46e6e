import { setInterval as everyMs } from "node:timers/promises";
import { createFlags } from "@bunting/sdk";

/*
 * A process of an application: a thousand requests a second, each by another user, through the flag `burning`. One in a hundred
 * is by a user of the first percent, evenly, so that a canary at 1 % gets ten a second. Requests come when they are due, whether
 * the process got to run or not. Both branches work until SIGUSR2; from then on every request of the canary fails. Address, token
 * and name come from the environment. What happens is printed, a JSON line each: see {@link Event}.
 */

export type Event =
  /** Since the first request. */
  | { readonly type: "serving" }
  | {
      /** A request of the canary failed. */
      readonly type: "failed";
      /** Unix ms. */
      readonly at: number;
      /** By this process's own clock, ms. */
      readonly clockMs: number;
      /** The longest that this process was kept from running within the five seconds before. */
      readonly heldUpMs: number;
      readonly isBreakerOpen: boolean;
    }
  /** A state of the server was applied. */
  | { readonly type: "applied"; readonly at: number; readonly revision: number }
  /** Each second. */
  | { readonly type: "served"; readonly requestCount: number; readonly canaryCount: number };

const REQUESTS_PER_SECOND = 1_000;
/** One request of the canary among as many. */
const CANARY_EVERY = 100;
const FIRST_PERCENT = 2 ** 32 / CANARY_EVERY;
const TICK_MS = 10;
const TICKS_REMEMBERED = 5_000 / TICK_MS;

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

const begunAt = performance.now();
/** Between two ticks, the newest last. */
const gapsMs: number[] = [];
let tickedAt = begunAt;
let requestCount = 0;
let canaryCount = 0;
let userCount = 0;
for await (const _tick of everyMs(TICK_MS)) {
  const now = performance.now();
  gapsMs.push(now - tickedAt);
  if (gapsMs.length > TICKS_REMEMBERED) gapsMs.shift();
  tickedAt = now;
  const due = Math.floor(((now - begunAt) / 1_000) * REQUESTS_PER_SECOND);
  while (requestCount < due) {
    requestCount += 1;
    serve(nextUser(requestCount % CANARY_EVERY === 0));
    if (requestCount % REQUESTS_PER_SECOND === 0) say({ type: "served", requestCount, canaryCount });
  }
}

/** Somebody new, of the first percent or not. */
function nextUser(isOfFirstPercent: boolean): string {
  for (;;) {
    userCount += 1;
    const user = `${process.env.INSTANCE}-${userCount}`;
    const position = flags.place("burning", user).split?.position ?? 0;
    if (position < FIRST_PERCENT === isOfFirstPercent) return user;
  }
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
    const clockMs = performance.now();
    const heldUpMs = Math.max(...gapsMs) - TICK_MS;
    say({ type: "failed", at: Date.now(), clockMs, heldUpMs, isBreakerOpen });
  }
}
