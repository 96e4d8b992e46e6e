import { createFlags, type Flags } from "@bunting/sdk";
import { eventually, type ServerProcess, startServerProcess } from "@bunting/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createVersionedModule } from "../create-versioned-module.ts";
import type { CountInput } from "../fixtures/counting.ts";
import type { ModuleEvents, VersionedModule } from "../types.ts";
import { createRestControl } from "./rest.ts";

/* A real server, real threads: the split is the flag's, and what the module does to it is in the audit. */

const ENTITIES = Array.from({ length: 100 }, (_, index) => `player-${index}`);
const FLAG = "/api/v1/environments/development/flags/game-logic";

let server: ServerProcess;
let flags: Flags;
let logic: VersionedModule<CountInput>;

beforeAll(async () => {
  server = await startServerProcess();
  const created = await server.request("POST", "/api/v1/flags", {
    key: "game-logic",
    type: "string",
    variants: { v1: { value: "v1" }, v2: { value: "v2" }, v3: { value: "v3" } },
    environments: { development: { offVariant: "v1", fallthrough: { split: { v1: 100, v2: 0, v3: 0 } } } },
  });
  if (!created.ok) throw new Error(`The server answered ${created.status}.`);
});
afterAll(() => server.dispose());

beforeEach(async () => {
  flags = createFlags({ url: server.url, token: server.firstRun.sdkTokens.development, cacheFile: false });
  await flags.ready({ timeoutMs: 20_000 });
  await eventually(() => flags.variant("game-logic", "player-1") !== null, { withinMs: 30_000, what: "the flag" });
});
afterEach(async () => {
  await logic.close();
  await flags.close();
});

async function open(token = server.firstRun.adminToken): Promise<void> {
  logic = createVersionedModule<CountInput>({
    versions: Object.fromEntries(
      ["v1", "v2", "v3"].map((name) => [name, new URL(`../fixtures/counting-${name}.ts`, import.meta.url)]),
    ),
    flags,
    flag: "game-logic",
    control: createRestControl({
      url: server.url,
      token,
      environment: "development",
      flag: "game-logic",
      flags,
      timeoutMs: 20_000,
    }),
    checkpointEveryMs: 0,
    limits: { deadlineMs: 20_000, loadTimeoutMs: 40_000 },
  });
  for (const version of ["v1", "v2"]) await logic.loadModuleVersion(version);
  await logic.addEntities(ENTITIES.map((entity) => ({ entity, state: { count: 0, sum: 0, trail: ["v1"] } })));
}

const counts = (): Record<string, number> => {
  const found: Record<string, number> = {};
  for (const entity of logic.entities()) {
    const at = logic.versionOf(entity) ?? "nowhere";
    found[at] = (found[at] ?? 0) + 1;
  }
  return found;
};

async function configuration(): Promise<{
  readonly fallthrough: object;
  readonly pins: object;
  readonly version: number;
}> {
  return (await (await server.request("GET", FLAG)).json()) as Awaited<ReturnType<typeof configuration>>;
}

describe("changing the split through the flag", () => {
  it("splits, pins and rolls back by revisions of the flag, and the entities follow", async () => {
    await open();
    await logic.setTrafficSplit({ v1: 90, v2: 10 });
    expect(counts()).toEqual({ v1: 90, v2: 10 });
    expect(await configuration()).toMatchObject({ fallthrough: { split: { v1: 90, v2: 10, v3: 0 } } });
    expect(logic.getTrafficSplit()).toEqual({ v1: 90, v2: 10 });

    const pinned = ENTITIES.find((entity) => logic.versionOf(entity) === "v1") ?? "";
    await logic.pinEntity(pinned, "v2");
    expect(logic.versionOf(pinned)).toBe("v2");
    expect(await configuration()).toMatchObject({ pins: { v2: [pinned] } });
    await logic.pinEntity(pinned, null);

    const { version } = await configuration();
    expect(await logic.rollback("v1", { reason: "drill" })).toMatchObject({ to: { v1: 10 }, isWithinLimit: true });
    await logic.settled();
    expect(counts()).toEqual({ v1: 100 });
    expect(await configuration()).toMatchObject({ fallthrough: { variant: "v1" }, version: version + 1 });

    const audit = (await (await server.request("GET", "/api/v1/audit?limit=5")).json()) as { items: readonly object[] };
    expect(audit.items.length).toBeGreaterThanOrEqual(4);
  });

  it("follows whoever else changes the flag, a kill too", async () => {
    await open();
    await logic.setTrafficSplit({ v1: 50, v2: 50 });
    await server.request("POST", `${FLAG}/kill`, { reason: "p99 at 4 s" });
    await eventually(() => counts().v1 === 100, { withinMs: 10_000, what: "everybody to be with v1" });
    await server.request("POST", `${FLAG}/restore`, { reason: "mended" });
    await eventually(() => counts().v2 === 50, { withinMs: 10_000, what: "half of them to be with v2" });
    expect(counts()).toEqual({ v1: 50, v2: 50 });
    await logic.setTrafficSplit({ v1: 100 });
  });

  it("overwrites nobody who edits the flag at the same time: it looks again, and both edits hold", async () => {
    await open();
    let rivals = 0;
    const control = createRestControl({
      url: server.url,
      token: server.firstRun.adminToken,
      environment: "development",
      flag: "game-logic",
      flags,
      timeoutMs: 20_000,
      async fetch(address, init) {
        if (init?.method === "PATCH" && rivals++ === 0) {
          expect((await server.request("PATCH", FLAG, { pins: { v3: ["rival"] } })).status).toBe(200);
        }
        return await fetch(address, init);
      },
    });
    await control.pin("player-9", "v3", "Pinned");
    expect(rivals).toBe(2);
    const { pins } = await configuration();
    expect(pins).toMatchObject({ v3: ["rival", "player-9"] });
    await control.pin("rival", null, "Unpinned");
    await control.pin("player-9", null, "Unpinned");
  });

  it("says what the server says against it", async () => {
    await open("bnt_admin_000000000000_wrong");
    await expect(logic.setTrafficSplit({ v1: 90, v2: 10 })).rejects.toMatchObject({
      code: "control_refused",
      message: expect.stringContaining("unauthenticated"),
    });
    expect(counts()).toEqual({ v1: 100 });
  });
});

describe("a canary that breaks in one process", () => {
  it("is rolled back here at once, and by the server's gate for everybody", async () => {
    await open();
    const path = "/api/v1/environments/development/flags/game-logic/rollouts";
    const draft = await server.request("POST", path, {
      canary: "v2",
      control: "v1",
      stages: [{ percent: 50, bakeSeconds: 600 }],
      guardrails: [{ metric: "error_rate", max: 0.01, worseThanControl: true, onFail: "rollback" }],
      analysisIntervalSeconds: 10,
    });
    expect(draft.status).toBe(201);
    const { id } = (await draft.json()) as { id: string };
    expect((await server.request("POST", `/api/v1/rollouts/${id}/start`, {})).status).toBe(200);
    await eventually(() => counts().v2 === 50, { withinMs: 10_000, what: "the canary's entities" });

    const failures: ModuleEvents["failure"][] = [];
    logic.on("failure", (failure) => failures.push(failure));
    const fault = { version: "v2", kind: "throw" } as const;
    const { processedCount, failed } = await logic.process({ amount: 1, fault });
    expect({ processedCount, failed }).toEqual({ processedCount: 100, failed: [] });
    expect(counts()).toEqual({ v1: 100 });
    expect(failures).toMatchObject([{ code: "process_threw" }]);

    const state = async (): Promise<string> =>
      ((await (await server.request("GET", `/api/v1/rollouts/${id}`)).json()) as { state: string }).state;
    await eventually(async () => (await state()) === "rolled_back", {
      withinMs: 45_000,
      what: "the gate to roll back",
    });
    await eventually(() => flags.variant("game-logic", "anybody") === "v1", { withinMs: 10_000, what: "the news" });
  });
});
