import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { OutboxCount } from "./delivery.ts";

export type WebhookMetrics = ReturnType<typeof createWebhookMetrics>;

/** No name of a webhook is a label: the outcomes are a fixed set, and the rest is in the deliveries. */
export function createWebhookMetrics(registry: Registry) {
  const registers = [registry];
  return {
    tries: new Counter({
      name: "bunting_webhook_tries_total",
      help: "Tries to deliver to webhooks, by outcome.",
      labelNames: ["outcome"],
      registers,
    }),
    seconds: new Histogram({
      name: "bunting_webhook_try_seconds",
      help: "Time of one try, from the look-up to the end of the answer.",
      buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    }),
  };
}

/** Read when somebody asks. Alert on `dead`, and on an age above an hour. */
export function observeOutbox(registry: Registry, outbox: { count(): OutboxCount }, now: () => number): void {
  const registers = [registry];
  // A database that cannot be read must not take the other figures with it: these are absent then, which alerts too.
  const ask = (): OutboxCount | null => {
    try {
      return outbox.count();
    } catch {
      return null;
    }
  };
  new Gauge({
    name: "bunting_webhook_deliveries",
    help: "Deliveries that wait, and that are given up and kept to be looked at.",
    labelNames: ["state"],
    registers,
    collect() {
      this.reset();
      const count = ask();
      if (count === null) return;
      this.set({ state: "waiting" }, count.waiting);
      this.set({ state: "dead" }, count.dead);
    },
  });
  new Gauge({
    name: "bunting_webhook_oldest_waiting_seconds",
    help: "Age of the oldest delivery that waits; 0 if none does.",
    registers,
    collect() {
      const count = ask();
      if (count === null) this.remove();
      else this.set(count.oldestWaitingAt === null ? 0 : Math.max(0, now() - count.oldestWaitingAt) / 1000);
    },
  });
}
