import { createHmac } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type RolloutNotification, type RolloutView, rolloutNotification } from "@bunting/contracts";
import { createFlags } from "@bunting/sdk";
import { eventually, type ServerProcess, startServerProcess } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { createFlag, sdkToken } from "./observed-client.ts";

/*
 * What people are told of real rollouts: real traffic, a server that is a process of its own and is killed, and a receiver that
 * checks signatures as the guide says.
 */

const PLAN = {
  canary: "on",
  control: "off",
  stages: [
    { percent: 20, bakeSeconds: 10 },
    { percent: 50, bakeSeconds: 10 },
  ],
  guardrails: [{ metric: "error_rate", max: 0.05 }],
  minSamples: 20,
  decideBy: "threshold",
  analysisIntervalSeconds: 5,
  notify: ["releases"],
};

interface Received {
  readonly id: string;
  readonly signature: string;
  readonly body: string;
}

/** Somebody's receiver. It can be down, and it can take a delivery without ever answering. */
class Receiver {
  readonly received: Received[] = [];
  isSilent = false;
  port = 0;
  #server: Server | null = null;

  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8");
      request.on("data", (chunk: string) => {
        body += chunk;
      });
      request.on("end", () => this.#take({ ...headersOf(request.headers), body }, response));
    });
    await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  #take(received: Received, response: ServerResponse): void {
    this.received.push(received);
    if (!this.isSilent) response.end();
  }

  /** Each once, in the order of their first arrival. */
  get told(): readonly RolloutNotification[] {
    const bodies = new Map(this.received.map(({ id, body }) => [id, body]));
    return [...bodies.values()].map((body) => rolloutNotification.parse(JSON.parse(body)));
  }

  /** The last notice of a kind. */
  find(kind: string): RolloutNotification | undefined {
    return this.told.findLast((notice) => notice.kind === `rollout.${kind}`);
  }

  until(kind: string, isIt: (notice: RolloutNotification) => boolean = () => true): Promise<RolloutNotification> {
    const find = () => this.told.find((notice) => notice.kind === `rollout.${kind}` && isIt(notice));
    return eventually(find, { withinMs: 120_000, everyMs: 100, what: `the notice ${kind}` });
  }
}

function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): Omit<Received, "body"> {
  return { id: String(headers["bunting-delivery"]), signature: String(headers["bunting-signature"]) };
}

function isSigned({ signature, body }: Received, secret: string): boolean {
  const [, time = "", proof] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
  return createHmac("sha256", secret).update(`${time}.${body}`).digest("hex") === proof;
}

/** Fifty requests a second, of which the canary's go as they are told to. */
function traffic(server: ServerProcess, flag: string) {
  const flags = createFlags({ url: server.url, token: sdkToken(server), instance: "shop-1", cacheFile: false });
  const state = { isBurning: false };
  let user = 0;
  const timer = setInterval(() => {
    user += 1;
    const canary = () => {
      if (state.isBurning) throw new Error("burning");
    };
    try {
      flags.run(flag, `user-${user}`, { on: canary, off: () => undefined });
    } catch {
      // What the application would answer with; the SDK has counted it.
    }
  }, 20);
  onTestFinished(async () => {
    clearInterval(timer);
    await flags.close();
  });
  return { ready: flags.ready({ timeoutMs: 20_000 }), state };
}

describe("NO-1 NO-3 NO-7 NO-14 the notices of real rollouts", () => {
  it("arrive signed, each at least once under one id, whatever kills the server between commit and delivery", {
    timeout: 300_000,
  }, async () => {
    const receiver = new Receiver();
    await receiver.listen();
    onTestFinished(() => receiver.close());
    const server = await startServerProcess({ env: { BUNTING_OUTGOING_ALLOW: `127.0.0.1:${receiver.port}` } });
    onTestFinished(() => server.dispose());
    const ask = async <Answer>(method: string, at: string, body?: unknown): Promise<Answer> => {
      const response = await server.request(method, at, body);
      if (!response.ok) throw new Error(`${at}: ${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    };
    const url = `http://127.0.0.1:${receiver.port}/bunting`;
    const { secret } = await ask<{ secret: string }>("POST", "/api/v1/webhooks", { name: "releases", url });
    await createFlag(server, "told");
    const { ready, state } = traffic(server, "told");
    await ready;
    const create = () => ask<RolloutView>("POST", "/api/v1/environments/production/flags/told/rollouts", PLAN);
    const order = (id: string, command: string) =>
      ask("POST", `/api/v1/rollouts/${id}/${command}`, { comment: "as planned" });

    // Committed, and nobody there to deliver to; then the server is gone, too.
    await receiver.close();
    const healthy = await create();
    await order(healthy.id, "start");
    await server.kill();
    expect(receiver.received).toEqual([]);
    await receiver.listen();
    await server.restart();
    expect(await receiver.until("announced")).toMatchObject({
      flag: "told",
      environment: "production",
      rollout: { id: healthy.id, state: "pending", percent: 0 },
      plan: { stages: [{ percent: 20 }, { percent: 50 }] },
    });
    await receiver.until("started");

    // Ready to be promoted, which the plan leaves to people.
    const held = await receiver.until("held", ({ decision }) => decision?.cause === "manual");
    expect(held).toMatchObject({ decision: { verdict: "hold" }, rollout: { stage: 0, percent: 20 } });
    expect(held.text).toContain("waits for a person to promote");
    await order(healthy.id, "promote");
    expect(await receiver.until("stage_reached")).toMatchObject({
      rollout: { stage: 1, percent: 50 },
      by: "first admin",
    });
    const completed = await receiver.until("completed");
    expect(completed).toMatchObject({ by: "controller", rollout: { id: healthy.id, state: "completed" } });
    expect(completed.decision).toMatchObject({ action: "complete", verdict: "pass" });

    // The second one burns; its worst notice is under way when the server is killed, and nobody knows whether it arrived.
    await ask("PATCH", "/api/v1/environments/production/flags/told", { fallthrough: { split: { on: 0, off: 100 } } });
    const burning = await create();
    await order(burning.id, "start");
    await receiver.until("started", ({ rollout }) => rollout.id === burning.id);
    receiver.isSilent = true;
    state.isBurning = true;
    await receiver.until("rolled_back");
    await server.kill();
    receiver.isSilent = false;
    await server.restart();
    const { id: deliveryId } = receiver.received.findLast(({ body }) => body.includes("rollout.rolled_back")) ?? {
      id: "",
    };
    await eventually(() => receiver.received.filter(({ id }) => id === deliveryId).length >= 2, {
      withinMs: 60_000,
      what: "the rollback to be told again",
    });
    const rolledBack = receiver.find("rolled_back");
    expect(rolledBack).toMatchObject({
      rollout: { id: burning.id, state: "rolled_back", percent: 0 },
      by: "controller",
    });
    expect(rolledBack?.decision?.counts.canary.errorCount).toBeGreaterThan(4);
    expect(rolledBack?.text).toMatch(/rolled back from 20 %: .*\d+ of the canary.s \d+ outcomes were errors/);

    expect(receiver.received.filter((each) => !isSigned(each, secret))).toEqual([]);
    expect(receiver.received.filter((each) => isSigned({ ...each, body: `${each.body} ` }, secret))).toEqual([]);
    const bodies = new Map<string, Set<string>>();
    for (const { id, body } of receiver.received) bodies.set(id, (bodies.get(id) ?? new Set()).add(body));
    expect([...bodies.values()].every((same) => same.size === 1)).toBe(true);
    const { items } = await ask<{ items: { id: string; state: string }[] }>(
      "GET",
      "/api/v1/webhooks/releases/deliveries",
    );
    await eventually(
      async () =>
        (await ask<{ items: { state: string }[] }>("GET", "/api/v1/webhooks/releases/deliveries?state=delivered")).items
          .length === items.length,
      { what: "every delivery to be recorded" },
    );
    expect(new Set(items.map(({ id }) => id))).toEqual(new Set(bodies.keys()));
  });
});
