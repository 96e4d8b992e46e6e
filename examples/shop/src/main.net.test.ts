import path from "node:path";
import { type Child, eventually, freePort, type ServerProcess, startChild, startServerProcess } from "@bunting/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { CHECKOUT_FLAG } from "./shop.ts";

let server: ServerProcess;
let shop: Child | undefined;

beforeAll(async () => {
  server = await startServerProcess();
});
afterEach(() => shop?.end("SIGKILL"));
afterAll(() => server?.dispose());

describe("the shop alone", () => {
  it("sells by the flag, and closes when it is asked to", async () => {
    expect((await server.request("POST", "/api/v1/flags", { key: CHECKOUT_FLAG })).status).toBe(201);
    const { checkout } = await open({
      BUNTING_URL: server.url,
      BUNTING_TOKEN: server.firstRun.sdkTokens.production,
      XDG_CACHE_HOME: server.dataFolder,
    });
    expect(await checkout()).toMatchObject({ checkout: "classic" });
    const everyone = { fallthrough: { variant: "on" } };
    const changed = await server.request("PATCH", `/api/v1/environments/production/flags/${CHECKOUT_FLAG}`, everyone);
    expect(changed.status).toBe(200);
    await eventually(async () => (await checkout()).checkout === "express", { what: "the express checkout" });
    expect((await shop?.end("SIGTERM"))?.code).toBe(0);
  });

  it("sells without any flag server", async () => {
    const { checkout } = await open({});
    expect(await checkout()).toMatchObject({ checkout: "classic" });
  });
});

async function open(env: NodeJS.ProcessEnv) {
  const port = await freePort();
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("BUNTING_"));
  shop = await startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", path.join(import.meta.dirname, "main.ts")],
    env: { ...Object.fromEntries(inherited), PORT: String(port), ...env },
  });
  await shop.printed(/The shop is open/, 30_000);
  const checkout = async (): Promise<{ checkout: string }> => {
    const answer = await fetch(`http://127.0.0.1:${port}/customers/ada/checkout`, { method: "POST", body: '["kite"]' });
    return (await answer.json()) as { checkout: string };
  };
  return { checkout };
}
