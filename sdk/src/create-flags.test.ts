import { booleanFlag, createOrigin, createSdkWorld, NO_SERVER, type SdkWorld } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "./create-flags.ts";
import type { FlagsOptions } from "./options.ts";
import type { Flags, Source } from "./types.ts";

const ADDRESS = { url: "https://flags.test", token: "secret-token", cacheFile: false } as const;

function start(world: SdkWorld, options: FlagsOptions = {}): Flags {
  return createFlagsOn(world.platform, { ...ADDRESS, ...options });
}

/** What a promise came to, once everything that needs no time has happened. */
async function settled<T>(promise: Promise<T>): Promise<T | "pending"> {
  return Promise.race([promise, new Promise<"pending">((resolve) => setImmediate(() => resolve("pending")))]);
}

function worldWith(...flags: Parameters<typeof booleanFlag>[]): SdkWorld {
  return createSdkWorld(1, createOrigin(flags.map(([key, shape]) => booleanFlag(key, shape))));
}

describe("a client and a server", () => {
  it("evaluates what the server has, and follows each change", () => {
    const world = worldWith(["redis", { percent: 0 }]);
    world.serve();
    const flags = start(world);
    world.time.advance(100);
    expect(flags.status()).toMatchObject({ state: "live", source: "live", transport: "stream", stale: false });
    expect(flags.isEnabled("redis", "u-1")).toBe(false);
    world.origin.put(booleanFlag("redis", { percent: 100 }));
    world.time.advance(1);
    expect(flags.isEnabled("redis", "u-1")).toBe(true);
    expect(flags.status().position).toEqual({ epoch: "epoch-1", revision: 2 });
  });

  it("tells of changes with the flags that may decide differently", () => {
    const world = worldWith(["a"], ["b"]);
    world.serve();
    const flags = start(world);
    world.time.advance(100);
    const changes: unknown[] = [];
    const stop = flags.on("change", (change) => changes.push(change));
    world.origin.put(booleanFlag("b", { percent: 10 }));
    world.time.advance(1);
    stop();
    world.origin.put(booleanFlag("a", { percent: 10 }));
    world.time.advance(1);
    expect(changes).toEqual([{ keys: ["b"], revision: 2 }]);
  });
});

describe("LC-12 after a connection that lived, the first try comes at once", () => {
  it("is back within 50 ms and asks for what it missed", () => {
    const world = worldWith(["redis"]);
    const node = world.serve();
    const flags = start(world);
    world.time.advance(10_000);
    for (const connection of node.connections) connection.close(1006);
    world.origin.put(booleanFlag("redis", { percent: 0 }));
    world.time.advance(60);
    expect(flags.status()).toMatchObject({ state: "live", position: { revision: 2 } });
    expect(world.network.attempts[1]?.url.searchParams.get("revision")).toBe("1");
    expect(world.network.attempts[1]?.url.searchParams.get("resume")).toBe("resume-1");
    expect(flags.isEnabled("redis", "u-1")).toBe(false);
  });
});

describe("LC-15 polling starts with the first failed try to push, and stops when push is live", () => {
  it("polls where upgrades are refused, and keeps asking for push", () => {
    const world = worldWith(["redis"]);
    const node = world.serve();
    const { request } = world.network.server;
    world.network.server = { request, socket: (peer) => peer.refuse(403) };
    const flags = start(world);
    world.time.advance(100);
    expect(flags.status()).toMatchObject({ state: "waiting", source: "live", transport: "poll" });
    expect(flags.isEnabled("redis", "u-1")).toBe(true);
    world.network.server = world.leadTo(node);
    world.time.advance(300_100);
    expect(flags.status()).toMatchObject({ state: "live", transport: "stream" });
    const requests = world.network.open;
    expect(requests).toBe(1);
  });

  it("does not poll for a connection that comes back at once", () => {
    const world = worldWith(["redis"]);
    const node = world.serve();
    start(world);
    world.time.advance(10_000);
    let polls = 0;
    const { request, socket } = world.network.server;
    world.network.server = {
      socket,
      request: (...call) => {
        polls += 1;
        request(...call);
      },
    };
    for (const connection of node.connections) connection.close(1006);
    world.time.advance(1_000);
    expect(polls).toBe(0);
  });
});

describe("LC-42 ready() settles with what is in use", () => {
  it("says live after the swap, not before", async () => {
    const world = worldWith(["redis"]);
    world.serve();
    const flags = start(world);
    const ready = flags.ready();
    expect(await settled(ready)).toBe("pending");
    world.time.advance(100);
    expect(await settled(ready)).toBe("live");
    expect(flags.isEnabled("redis", "u-1")).toBe(true);
  });

  it("says defaults at its limit, without a server", async () => {
    const world = createSdkWorld();
    world.network.server = NO_SERVER;
    const flags = start(world);
    const ready = flags.ready({ timeoutMs: 2_000 });
    world.time.advance(1_999);
    expect(await settled(ready)).toBe("pending");
    world.time.advance(1);
    expect(await settled(ready)).toBe("defaults");
  });

  it("settles on close, and later calls at once", async () => {
    const world = createSdkWorld();
    const flags = start(world);
    const ready = flags.ready({ timeoutMs: 60_000 });
    const closed = flags.close();
    await closed;
    expect(await settled<Source | "pending">(ready)).toBe("defaults");
    expect(await settled(flags.ready())).toBe("defaults");
    expect(world.held).toBe(0);
  });
});

describe("LC-4 close() leaves nothing behind", () => {
  it.each(["connecting", "live", "waiting", "polling", "leaving"])("from %s", async (when) => {
    const world = worldWith(["redis"]);
    const node = world.serve({ heartbeatMs: 1e9 });
    node.stop();
    if (when === "waiting") world.network.server = NO_SERVER;
    if (when === "polling") {
      world.network.server = { ...world.network.server, socket: (peer) => peer.refuse(401) };
    }
    const flags = start(world, { overrideFile: "/overrides.json" });
    if (when !== "connecting") world.time.advance(200);
    if (when === "leaving") {
      for (const connection of node.connections) {
        connection.send({ type: "goaway", reason: "shutdown", spreadMs: 60_000, deadlineMs: 65_000 });
      }
      world.time.advance(1);
      expect(flags.status().state).toBe("leaving");
    }
    const closing = flags.close();
    await world.time.advanceAsync(2_000);
    await closing;
    world.time.advance(10);
    expect(flags.status().state).toBe("closed");
    expect(world.network.open).toBe(0);
    expect(world.time.pending).toBe(0);
    expect(world.held).toBe(0);
    await flags.close();
    expect(flags.isEnabled("redis", "u-1")).toBe(when === "live" || when === "polling" || when === "leaving");
  });
});
