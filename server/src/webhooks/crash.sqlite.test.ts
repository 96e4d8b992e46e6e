import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createFakeTime, createSeededRandom, eventually, startChild } from "@bunting/testkit";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestLogger, flagKeyOf, PRODUCTION, TestFolder } from "../ledger/ledger-fixture.ts";
import { createNodeClock, createNodeRandom, createNodeScheduler } from "../platform/node.ts";
import { Deliverer } from "./deliverer.ts";
import { createOutgoing } from "./outgoing.ts";
import { createWebhookMetrics } from "./webhook-metrics.ts";

let folder: TestFolder;
let receiver: Server;
let port: number;
/** Ids of deliveries, as they came. */
let received: (string | string[] | undefined)[];

beforeEach(async () => {
  folder = new TestFolder({ time: createFakeTime(), random: createSeededRandom(41) });
  received = [];
  receiver = createServer((request, response) => {
    received.push(request.headers["bunting-delivery"]);
    request.resume().on("end", () => response.end());
  });
  await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  ({ port } = receiver.address() as AddressInfo);
});
afterEach(async () => {
  folder.remove();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

async function dieWhen(moment: "committed" | "delivered"): Promise<void> {
  const script = fileURLToPath(new URL("crash-child.ts", import.meta.url));
  const child = await startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", script, moment, folder.path, String(port)],
    env: process.env,
  });
  const { signal } = await child.exited;
  expect({ signal, output: child.output() }).toEqual({ signal: "SIGKILL", output: "" });
}

/** The next process over the same folder, until nothing waits. */
async function carryOn() {
  const world = { clock: createNodeClock(), random: createNodeRandom(), scheduler: createNodeScheduler() };
  const { ledger, box } = folder.open(world);
  const { logger } = createTestLogger();
  const outgoing = createOutgoing({ ...world, allowed: new Set([`127.0.0.1:${port}`]) });
  const metrics = createWebhookMetrics(new Registry());
  const deliverer = new Deliverer({ ...world, ledger, box, logger, outgoing, metrics });
  await eventually(() => ledger.outbox.count().waiting === 0, { what: "an outbox in which nothing waits" });
  await deliverer.close();
  const isKilled = ledger.state.environments.get(PRODUCTION)?.configurations.get(flagKeyOf("told"))
    ?.configuration.killed;
  expect(isKilled).not.toBeNull();
  expect(ledger.verify()).toMatchObject({ intact: true });
  const [webhook] = ledger.state.webhooks.values();
  return ledger.outbox.read(webhook?.id ?? "", { before: null, limit: 10 });
}

describe("NO-7 kill -9", () => {
  it("between the commit and the delivery loses nothing", async () => {
    await dieWhen("committed");
    expect(received).toEqual([]);
    const deliveries = await carryOn();
    expect(deliveries).toMatchObject([{ kind: "flag.killed", state: "delivered", tryCount: 1 }]);
    expect(received).toEqual([deliveries[0]?.id]);
  });

  it("between the delivery and its record delivers again, under the same id", async () => {
    await dieWhen("delivered");
    expect(received).toHaveLength(1);
    const deliveries = await carryOn();
    expect(deliveries).toMatchObject([{ kind: "flag.killed", state: "delivered" }]);
    expect(received).toEqual([deliveries[0]?.id, deliveries[0]?.id]);
  });
});
