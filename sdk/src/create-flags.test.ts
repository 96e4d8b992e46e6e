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

describe("LC-70 listeners", () => {
  it("that throw stop neither the others nor the client, and are counted", () => {
    const world = worldWith(["redis", { percent: 0 }]);
    world.serve();
    const flags = start(world);
    const heard: string[] = [];
    flags.on("change", () => {
      throw new Error("a bug of the application");
    });
    flags.on("change", () => heard.push("second"));
    flags.on("status", () => {
      throw new Error("another");
    });
    flags.on("error", ({ message }) => {
      heard.push(message);
      throw new Error("and in the one that would tell");
    });
    world.time.advance(100);
    expect(flags.status().state).toBe("live");
    expect(heard).toContain("second");
    expect(heard).toContainEqual(expect.stringContaining("a bug of the application"));
    expect(flags.status().counters.listenerErrors).toBeGreaterThan(3);
  });

  it("are called after the swap, and may close the client", async () => {
    const world = worldWith(["redis", { percent: 0 }]);
    const node = world.serve();
    const flags = start(world);
    world.time.advance(1_000);
    let seen: boolean | undefined;
    let closing: Promise<void> | undefined;
    flags.on("change", () => {
      seen = flags.isEnabled("redis", "u");
      closing = flags.close();
    });
    world.origin.put(booleanFlag("redis"));
    await world.time.advanceAsync(5_000);
    await closing;
    node.stop();
    expect(seen).toBe(true);
    expect(world.network.open).toBe(0);
    expect(world.time.pending).toBe(0);
  });

  it("that stop hear no more; a function that listens twice stops once", () => {
    const world = worldWith(["redis"]);
    world.serve();
    const flags = start(world);
    let calls = 0;
    const listener = (): void => {
      calls += 1;
    };
    const stop = flags.on("change", listener);
    flags.on("change", listener);
    stop();
    stop();
    world.time.advance(100);
    expect(calls).toBe(1);
  });
});

describe("LC-71 status()", () => {
  it("says in each state how things stand", () => {
    const world = worldWith(["redis"]);
    const node = world.serve();
    const states: string[] = [];
    const flags = start(world);
    flags.on("status", ({ state, source, transport }) => states.push(`${state} ${source} ${transport}`));
    expect(flags.status()).toEqual({
      state: "connecting",
      source: "defaults",
      transport: "none",
      since: world.time.clock.now(),
      position: null,
      ageMs: null,
      stale: true,
      lastError: null,
      overrides: [],
      breakers: [],
      issues: [],
      counters: {
        resyncs: 0,
        malformed: 0,
        refused: 0,
        connections: 1,
        listenerErrors: 0,
        cacheErrors: 0,
        dropped: 0,
        pending: 0,
        evidenceDropped: 0,
        evidencePending: 0,
        telemetryRestarts: 0,
      },
    });
    world.time.advance(100);
    for (const connection of node.connections) connection.close(1006);
    world.network.server = NO_SERVER;
    world.time.advance(10);
    expect(states.slice(0, 3)).toEqual(["syncing defaults stream", "live live stream", "waiting live none"]);
    expect(flags.status()).toMatchObject({ lastError: { code: "ECONNREFUSED" }, stale: false });
  });

  it("lists rules that cannot be judged", () => {
    const rules = [
      { id: "future", when: [{ attribute: "a", op: "sounds_like", values: ["x"] }], serve: { variant: "on" } },
    ];
    const world = worldWith(["redis", { entry: { rules } }]);
    world.serve();
    const flags = start(world);
    world.time.advance(100);
    expect(flags.status().issues).toEqual([expect.stringContaining("redis")]);
    expect(flags.evaluate("redis", { key: "u", a: "x" })).toMatchObject({ detail: "unsupported:future" });
  });
});

describe("LC-11, R15 whatever goes wrong, it never gives up", () => {
  const failures: [string, (world: SdkWorld) => void][] = [
    ...[
      101, 200, 204, 301, 302, 307, 400, 401, 402, 403, 404, 407, 408, 409, 410, 418, 426, 429, 451, 500, 502, 503, 504,
      599,
    ].map((code): [string, (world: SdkWorld) => void] => [
      `HTTP ${code}`,
      ({ network }) => {
        network.server = {
          socket: (peer) => peer.refuse(code),
          request: (_request, answer) => answer({ kind: "answered", status: code, headers: new Map(), body: "" }),
        };
      },
    ]),
    ...["ECONNREFUSED", "ENOTFOUND", "ETIMEDOUT", "CERT_HAS_EXPIRED", "SOMETHING_NEW"].map(
      (code): [string, (world: SdkWorld) => void] => [
        code,
        ({ network }) => {
          network.server = {
            socket: (peer) => peer.fail(code),
            request: (_request, answer) => answer({ kind: "failed", code }),
          };
        },
      ],
    ),
    ...[
      1000, 1001, 1002, 1003, 1006, 1008, 1009, 1011, 1012, 1013, 3000, 4000, 4399, 4400, 4401, 4403, 4409, 4429, 4499,
      4500, 4510, 4599, 4999,
    ].map((code): [string, (world: SdkWorld) => void] => [
      `close ${code}`,
      ({ network }) => {
        network.server = {
          socket: (peer) => {
            peer.accept();
            peer.close(code);
          },
          request: (_request, answer) => answer({ kind: "failed", code: "ECONNREFUSED" }),
        };
      },
    ]),
  ];

  it.each(failures)("%s for two hours, then all is well", (_name, plant) => {
    const world = worldWith(["redis"]);
    const node = world.serve({ heartbeatMs: 1e12 });
    plant(world);
    const flags = start(world, { flushIntervalMs: 86_400_000 });
    world.time.advance(2 * 3_600_000);
    const attempts = world.network.attempts.length;
    expect(attempts).toBeGreaterThan(20);
    expect(flags.status().state).not.toBe("closed");
    world.network.server = world.leadTo(node);
    world.time.advance(300_100);
    expect(flags.status().state).toBe("live");
  });
});

describe("SD-09, R18 10,000 reconnects leave nothing behind", () => {
  it("no timer, no socket, no growth", async () => {
    const world = worldWith(["redis"]);
    const node = world.serve({ heartbeatMs: 1e12 });
    const flags = start(world);
    const reconnect = (times: number): void => {
      for (let time = 0; time < times; time += 1) {
        for (const connection of node.connections) connection.close(1006);
        world.time.advance(6_000);
      }
    };
    reconnect(2_000);
    const [pending, before] = [world.time.pending, await heapUsed(world)];
    reconnect(8_000);
    expect(flags.status().state).toBe("live");
    expect(flags.status().counters.connections).toBeGreaterThanOrEqual(10_000);
    expect(world.time.pending).toBeLessThanOrEqual(pending + 1);
    expect(world.network.open).toBe(1);
    expect(node.connections.size).toBe(1);
    // 8,000 connections that left a kilobyte each would be 8 MB.
    expect((await heapUsed(world)) - before).toBeLessThan(3_000_000);
  });
});

/** After a collection. The world's own record of attempts is no part of the client. */
async function heapUsed(world: SdkWorld): Promise<number> {
  world.network.attempts.length = 0;
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
