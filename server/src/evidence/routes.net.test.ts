import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { instancePage } from "@bunting/contracts";
import { eventually } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { startServerUnderTest } from "../http/server-under-test.ts";
import { aCell, OFF } from "./evidence-rig.ts";

/** Answers 0.5 to everything, and remembers what it was asked. */
async function startMeter() {
  const queries: (string | null)[] = [];
  const meter = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      queries.push(new URLSearchParams(body).get("query"));
      response.end('{"status":"success","data":{"resultType":"scalar","result":[1,"0.5"]}}');
    });
  }).listen(0, "127.0.0.1");
  onTestFinished(() => {
    meter.closeAllConnections();
    meter.close();
  });
  await once(meter, "listening");
  return { url: `http://127.0.0.1:${(meter.address() as AddressInfo).port}`, queries };
}

describe("TE-100 evidence on its way through a whole server", () => {
  it("is stored, shown, scraped and asked for", { timeout: 60_000 }, async () => {
    const meter = await startMeter();
    const under = await startServerUnderTest({ environment: { BUNTING_PROMETHEUS_URL: meter.url } });
    onTestFinished(() => under.dispose());
    await under.request("POST", "/api/v1/flags", { body: { key: "redis" } });
    const plan = {
      canary: "on",
      control: "off",
      stages: [{ percent: 5 }, { percent: 50 }],
      guardrails: [{ source: "prometheus", query: "sum(up)", min: 1, onFail: "alert" }],
    };
    const path = "/api/v1/environments/production";
    const { body: created } = await under.request("POST", `${path}/flags/redis/rollouts`, { body: plan });
    const rollout = String(created.id);
    expect((await under.request("POST", `/api/v1/rollouts/${rollout}/start`, { body: {} })).status).toBe(200);

    const token = under.firstRun.sdkTokens.production ?? "";
    await under.request("GET", "/sdk/v1/ruleset?instance=shop-7&boot=b1", { token });
    const interval = Math.floor(Date.now() / 10_000);
    const batch = {
      instance: "shop-7",
      boot: "b1",
      sequence: 1,
      from: 0,
      to: 0,
      ageMs: 0,
      cells: [{ flag: "redis", variant: "blue", exposures: 2 }],
      evidence: [aCell({ rollout, interval }), aCell({ rollout, interval, variant: OFF })],
      overridden: ["redis"],
    };
    expect((await under.request("POST", "/sdk/v1/telemetry", { token, body: batch })).body).toEqual({
      type: "telemetry_ack",
      sequence: 1,
    });

    const evidence = await under.request("GET", `/api/v1/rollouts/${rollout}/evidence`);
    expect(evidence.body.items).toMatchObject([
      { variant: "off", exposureCount: 10 },
      { variant: "on", exposureCount: 10, groups: aCell().groups },
    ]);
    const metrics = await under.request("GET", `/api/v1/rollouts/${rollout}/metrics`);
    expect(metrics.body).toMatchObject({ variants: { on: { total: { errorRate: 1 / 9 } } } });
    expect((await under.request("GET", `${path}/unknown`)).body).toMatchObject({
      variants: [{ flag: "redis", variant: "blue", exposureCount: 2 }],
    });
    const instances = instancePage.parse((await under.request("GET", `${path}/instances`)).body);
    expect(instances.items).toMatchObject([{ instance: "shop-7", overridden: ["redis"] }]);

    await eventually(() => meter.queries.length > 0);
    expect(meter.queries[0]).toBe("sum(up)");
    await eventually(async () => (await scrape()).includes('bunting_prometheus_queries_total{outcome="value"} 1'));
    expect(await scrape()).toContain('bunting_rollout_errors{environment="production",flag="redis",arm="canary"} 1');
    expect(await scrape()).toContain('bunting_evidence_cells_total{outcome="stored"} 2');

    async function scrape(): Promise<string> {
      return (await under.request("GET", "/metrics")).text;
    }
  });
});
