import { randomInt } from "node:crypto";
import type { Hono } from "hono";
import type { Receipt } from "../shop.ts";
import { add, EMPTY, type Tally } from "./tally.ts";

/** Customers who never stop buying: each checkout is somebody new, at one of the shops. */
export interface Traffic {
  /** Since the start, or since {@link Traffic.recount}. */
  tally(): Tally;
  /** Begins a new tally. What is under way still counts for the old one. */
  recount(): void;
  /** From now on customers come to these shops alone. */
  visit(shops: readonly Hono[]): void;
  stop(): Promise<void>;
}

const PRODUCTS = ["kite", "pennant", "streamer"] as const;
const TICK_MS = 20;

export function startTraffic(start: { readonly shops: readonly Hono[]; readonly perSecond: number }): Traffic {
  const { perSecond } = start;
  let { shops } = start;
  let counting = { tally: EMPTY };
  const underWay = new Set<Promise<void>>();

  const send = (): void => {
    const started = counting;
    const visit = checkout(pick(shops)).then((outcome) => {
      started.tally = add(started.tally, outcome);
      underWay.delete(visit);
    });
    underWay.add(visit);
  };
  const timer = setInterval(() => {
    for (let due = Math.round((perSecond * TICK_MS) / 1000); due > 0; due--) send();
  }, TICK_MS);

  return {
    tally: () => counting.tally,
    recount() {
      counting = { tally: EMPTY };
    },
    visit(chosen) {
      shops = chosen;
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
    },
  };
}

async function checkout(shop: Hono): Promise<Receipt["checkout"] | "failed"> {
  try {
    const customer = `c-${randomInt(2 ** 47)}`;
    const basket = JSON.stringify([pick(PRODUCTS), pick(PRODUCTS)]);
    const answer = await shop.request(`/customers/${customer}/checkout`, { method: "POST", body: basket });
    return answer.status === 201 ? ((await answer.json()) as Receipt).checkout : "failed";
  } catch {
    return "failed";
  }
}

function pick<Item>(items: readonly Item[]): Item {
  const item = items[randomInt(items.length)];
  if (item === undefined) throw new Error("Nothing to pick from");
  return item;
}
