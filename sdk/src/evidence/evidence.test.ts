import type { EvidenceCell, TelemetryBatch } from "@bunting/contracts";
import { telemetryBatch } from "@bunting/contracts";
import { finalise, hashBucketingKey } from "@bunting/engine";
import { booleanFlag, createOrigin, createSdkWorld, NO_SERVER, type SdkWorld, type StreamNode } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { FlagsOptions } from "../options.ts";
import type { Flags } from "../types.ts";

const ROLLOUT = {
  id: "r-1",
  attempt: 1,
  stage: 0,
  canary: "on",
  control: "off",
  rule: null as string | null,
  groupSalt: 99,
  metrics: ["conversion"],
};
type RolloutShape = Partial<typeof ROLLOUT>;

const flag = (percent: number, rollout: RolloutShape = {}, entry: object = {}) =>
  booleanFlag("redis", { percent, entry: { rollout: { ...ROLLOUT, ...rollout }, ...entry } });

interface Scene {
  readonly world: SdkWorld;
  readonly node: StreamNode;
  readonly flags: Flags;
  /** Cells that the server has. */
  cells(): readonly EvidenceCell[];
  /** Time passes until the next batch is there. */
  report(): readonly EvidenceCell[];
}

function live(entry = flag(100), options: FlagsOptions = {}, prepare: (world: SdkWorld) => void = () => {}): Scene {
  const world = createSdkWorld(1, createOrigin([entry]));
  prepare(world);
  const node = world.serve();
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false, ...options });
  world.time.advance(100);
  const cells = (): readonly EvidenceCell[] => world.telemetry.batches.flatMap(({ evidence = [] }) => evidence);
  return {
    world,
    node,
    flags,
    cells,
    report() {
      const before = cells().length;
      world.time.advance(6_000);
      return cells().slice(before);
    },
  };
}

const sum = (cells: readonly EvidenceCell[], name: "exposureCount" | "outcomeCount" | "errorCount" | "unitCount") =>
  cells.reduce((total, cell) => total + cell[name], 0);

/** Users that get this side of a 50 % split. */
function usersOf(flags: Flags, variant: string, count: number): readonly string[] {
  const users = Array.from({ length: count * 10 }, (_, index) => `u-${index}`);
  return users.filter((user) => flags.variant("redis", user) === variant).slice(0, count);
}

describe("TE-30 decisions of the rollout's scope are exposures", () => {
  it("counts isEnabled, variant, value and evaluate, each for the variant served", () => {
    const { flags, report } = live();
    flags.isEnabled("redis", "a");
    flags.variant("redis", "b");
    flags.value("redis", "b", false);
    flags.evaluate("redis", "a");
    expect(report()).toMatchObject([
      { rollout: "r-1", attempt: 1, stage: 0, variant: "on", exposureCount: 4, unitCount: 2, outcomeCount: 0 },
    ]);
  });

  it("not a value of another type, which the application does not get", () => {
    const { flags, report } = live();
    expect(flags.value("redis", "a", "text")).toBe("text");
    expect(report()).toEqual([]);
  });

  it("not pins, other rules, and whoever has no bucketing key", () => {
    const rules = [{ id: "fr", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: { variant: "on" } }];
    const { flags, report } = live(flag(100, {}, { pins: { on: ["qa"] }, rules }));
    flags.isEnabled("redis", "qa");
    flags.isEnabled("redis", { key: "u", country: "FR" });
    flags.isEnabled("redis");
    expect(report()).toEqual([]);
    flags.isEnabled("redis", { key: "u", country: "DE" });
    expect(sum(report(), "exposureCount")).toBe(1);
  });

  it("those of a rule's split where that is the scope, and nothing of the fallthrough", () => {
    const allocation = [
      ["on", 0, 50_000],
      ["off", 50_000, 100_000],
    ];
    const rules = [{ id: "fr", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: { allocation } }];
    const { flags, report } = live(flag(50, { rule: "fr" }, { rules }));
    for (let index = 0; index < 20; index += 1) {
      flags.isEnabled("redis", { key: `u-${index}`, country: "FR" });
      flags.isEnabled("redis", { key: `u-${index}`, country: "DE" });
    }
    expect(sum(report(), "exposureCount")).toBe(20);
  });

  it.each([
    ["another rule", { rule: "nobody" }],
    ["a canary that is no variant", { canary: "third" }],
    ["twice the same variant", { canary: "off" }],
  ])("none where the scope makes no sense: %s", (_what, rollout) => {
    const { flags, report } = live(flag(50, rollout));
    expect(flags.isEnabled("redis", "a")).toBeTypeOf("boolean");
    expect(report()).toEqual([]);
  });

  it("none after a kill, and a new attempt counts for itself", () => {
    const { world, flags, report } = live();
    flags.isEnabled("redis", "a");
    world.origin.put(flag(100, { attempt: 2 }));
    world.time.advance(10);
    flags.isEnabled("redis", "a");
    flags.isEnabled("redis", "a");
    expect(report()).toMatchObject([
      { attempt: 1, exposureCount: 1 },
      { attempt: 2, exposureCount: 2 },
    ]);
    world.origin.kill("redis");
    world.time.advance(10);
    flags.isEnabled("redis", "a");
    expect(report()).toEqual([]);
  });
});

describe("TE-31 evidence belongs to the interval of its exposure, by the server's time", () => {
  it("whatever the wall clock of this machine says", () => {
    const { world, flags, cells } = live();
    const trueInterval = Math.floor(world.time.clock.now() / 10_000);
    world.time.jumpWallClock(86_400_000);
    flags.isEnabled("redis", "a");
    world.time.advance(6_000);
    expect(cells()).toMatchObject([{ interval: trueInterval }]);
  });

  it("of a server whose clock differs, from the welcome on and after each heartbeat", () => {
    const { world, node, flags, cells } = live();
    const ahead = (Math.floor(world.time.clock.now() / 10_000) + 500) * 10_000;
    const { revision, checksum } = world.origin.ruleset;
    for (const connection of node.connections) {
      connection.send({ type: "heartbeat", revision, checksum, ackHoldMs: 20, sentAt: ahead });
    }
    world.time.advance(1);
    flags.isEnabled("redis", "a");
    world.time.advance(5_000);
    expect(cells()).toMatchObject([{ interval: ahead / 10_000 }]);
  });

  it.each([-1, 1])("also while it only polls, with a wall clock %d days off, from the first answer on", (days) => {
    const world = createSdkWorld(1, createOrigin([flag(100)]));
    const serverNow = (): number => 1_795_000_000_000 + world.time.clock.monotonic();
    const node = world.serve({ now: serverNow });
    world.time.jumpWallClock(1_795_000_000_000 - world.time.clock.now() + days * 86_400_000);
    world.network.server = { ...world.leadTo(node), socket: (peer) => peer.refuse(404) };
    const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
    world.time.advance(100);
    expect(flags.status().transport).toBe("poll");
    const trueInterval = Math.floor(serverNow() / 10_000);
    flags.isEnabled("redis", "a");
    world.time.advance(6_000);
    expect(world.telemetry.batches.flatMap(({ evidence = [] }) => evidence)).toMatchObject([
      { interval: trueInterval, exposureCount: 1 },
    ]);
  });

  it("which does not begin twice because a heartbeat was a moment late", () => {
    const { world, node, flags, cells } = live();
    world.time.advance(10_000 - (Math.floor(world.time.clock.now()) % 10_000) + 2);
    flags.isEnabled("redis", "a");
    const { revision, checksum } = world.origin.ruleset;
    const sentAt = Math.floor(world.time.clock.now()) - 40;
    for (const connection of node.connections) {
      connection.send({ type: "heartbeat", revision, checksum, ackHoldMs: 20, sentAt });
    }
    world.time.advance(1);
    flags.isEnabled("redis", "a");
    world.time.advance(6_000);
    expect(sum(cells(), "exposureCount")).toBe(2);
    expect(sum(cells(), "unitCount")).toBe(1);
  });

  it("so an outcome that comes three minutes later is charged to when the flag was read", () => {
    const { world, flags, cells } = live();
    const exposure = flags.expose("redis", "a");
    world.time.advance(180_000);
    exposure.error(new Error("at last"));
    world.time.advance(6_000);
    const [first, second] = cells();
    expect(first).toMatchObject({ exposureCount: 1, outcomeCount: 0 });
    expect(second).toMatchObject({ interval: first?.interval, exposureCount: 0, outcomeCount: 1, errorCount: 1 });
    expect(flags.status().counters).toMatchObject({ evidenceDropped: 0, evidencePending: 0 });
  });

  it("and one that comes after more than 30 intervals is dropped, and counted as such", () => {
    const { world, flags } = live();
    const exposure = flags.expose("redis", "a");
    world.time.advance(330_000);
    exposure.success();
    world.time.advance(6_000);
    expect(flags.status().counters).toMatchObject({ evidenceDropped: 1, evidencePending: 0 });
    expect(world.telemetry.batches.at(-1)).toMatchObject({ evidenceDropped: 1 });
  });

  it("a unit is one unit again in the next interval", () => {
    const { world, flags, cells } = live();
    for (let second = 0; second < 30; second += 1) {
      flags.isEnabled("redis", "a");
      world.time.advance(1_000);
    }
    world.time.advance(6_000);
    const intervals = new Set(cells().map(({ interval }) => interval));
    expect(sum(cells(), "exposureCount")).toBe(30);
    expect(sum(cells(), "unitCount")).toBe(intervals.size);
  });
});

describe("TE-32 the group of a unit", () => {
  it("is fmix32(hash of its bucketing key XOR groupSalt) mod 32, for whatever the flag buckets by", () => {
    const { flags, report } = live(flag(100, {}, { bucketBy: ["company"] }));
    flags.isEnabled("redis", { key: "u", company: "acme" });
    expect(report()[0]?.groups).toEqual([[finalise(hashBucketingKey("acme") ^ 99) & 31, 1, 0, 0, 0]]);
  });
});

describe("TE-35 run()", () => {
  it("runs the branch of the variant, returns what it returns, and counts and times it", async () => {
    const { world, flags, report } = live(flag(50));
    const [on] = usersOf(flags, "on", 1);
    report();
    const value: number = flags.run("redis", on, { on: () => 1, off: () => 2 });
    expect(value).toBe(1);
    const later = flags.run("redis", on, {
      on: async () => {
        world.time.advance(40);
        return "late";
      },
      off: () => "never",
    });
    expect(await later).toBe("late");
    const [cell] = report();
    expect(cell).toMatchObject({ variant: "on", exposureCount: 2, outcomeCount: 2, errorCount: 0 });
    expect(cell?.sketch).toEqual([
      [-230, 1],
      [Math.floor(Math.log(40) / Math.log(1.01 / 0.99)), 1],
    ]);
  });

  it("counts what is thrown, now or later, as an error, and throws it", async () => {
    const { flags, report } = live();
    const failure = new Error("as planned");
    const fail = () => {
      throw failure;
    };
    expect(() => flags.run("redis", "a", { on: fail, off: () => 0 })).toThrow(failure);
    await expect(flags.run("redis", "a", { on: () => Promise.reject(failure), off: () => 0 })).rejects.toBe(failure);
    expect(report()).toMatchObject([{ exposureCount: 2, outcomeCount: 2, errorCount: 2, unitErrorCount: 1 }]);
  });

  it("counts an AbortError neither way, unless the application says that it is an error, and the other way round", async () => {
    const { flags, report } = live();
    const abort = () => Promise.reject(new DOMException("gone", "AbortError"));
    const branches = { on: abort, off: abort };
    await expect(flags.run("redis", "a", branches)).rejects.toThrow("gone");
    expect(report()).toMatchObject([{ exposureCount: 1, outcomeCount: 0 }]);
    await expect(flags.run("redis", "a", branches, { isError: () => true })).rejects.toThrow("gone");
    expect(report()).toMatchObject([{ errorCount: 1 }]);
    const missing = () => Promise.reject(new RangeError("not found"));
    const isError = (error: unknown): boolean => !(error instanceof RangeError);
    await expect(flags.run("redis", "a", { on: missing }, { isError })).rejects.toThrow("not found");
    expect(report()).toMatchObject([{ outcomeCount: 0 }]);
  });

  it("takes any promise-like, and an isError that throws for a yes", async () => {
    const { flags, report } = live();
    const isError = (): boolean => {
      throw new Error("of its own");
    };
    const rejected = flags.run("redis", "a", { on: () => Promise.reject(new Error("first")) }, { isError });
    await expect(rejected).rejects.toThrow("first");
    expect(report()).toMatchObject([{ errorCount: 1 }]);
  });

  it("follows what await would follow: functions too, and what calls back at once, or twice, or throws besides", async () => {
    const { flags, report } = live();
    // oxlint-disable unicorn/no-thenable -- what this is about
    const rejecting = Object.assign(() => 0, {
      then: (_fulfilled: unknown, rejected: (error: Error) => unknown) => rejected(new Error("remote")),
    });
    const twice = {
      then(fulfilled: (value: number) => unknown) {
        fulfilled(1);
        fulfilled(2);
        throw new Error("besides");
      },
    };
    // oxlint-enable unicorn/no-thenable
    expect(() => flags.run("redis", "a", { on: () => rejecting })).toThrow("remote");
    expect(() => flags.run("redis", "a", { on: () => twice })).toThrow("besides");
    expect(report()).toMatchObject([{ outcomeCount: 2, errorCount: 1 }]);
  });

  it("returns what a branch returns, though nobody may look at it", () => {
    const { flags, report } = live();
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(Object.is(flags.run("redis", "a", { on: () => proxy }), proxy)).toBe(true);
    expect(report()).toMatchObject([{ outcomeCount: 1, errorCount: 0 }]);
  });

  it("falls back to what isEnabled says, to off, and to the last branch", () => {
    const { flags } = live(flag(0));
    const branches = { on: () => "on", other: () => "other", off: () => "off", last: () => "last" };
    expect(flags.run("redis", "a", branches)).toBe("off");
    expect(flags.run("unknown", "a", branches)).toBe("off");
    expect(flags.run("unknown", "a", { v1: () => "v1", v2: () => "v2" })).toBe("v2");
    expect(flags.run("redis", "a", Object.create(branches, { last: { value: () => "last", enumerable: true } }))).toBe(
      "last",
    );
    expect(() => flags.run("redis", "a", {})).toThrow("there is no branch");
  });

  it("costs a flag without a rollout no look at the clock", () => {
    const { world, flags } = live(booleanFlag("redis"));
    const { monotonic } = world.time.clock;
    let looks = 0;
    Object.assign(world.time.clock, { monotonic: () => (looks++, monotonic()) });
    expect(flags.run("redis", "a", { on: () => 1, off: () => 2 })).toBe(1);
    flags.expose("redis", "a").success();
    expect(looks).toBe(0);
  });
});

describe("TE-37 an exposure settles once", () => {
  it("and what is said after that is ignored", () => {
    const { flags, report } = live();
    const exposure = flags.expose("redis", "a");
    expect(exposure).toMatchObject({ variant: "on", value: true });
    exposure.success(12);
    exposure.success(13);
    exposure.error(new Error("too late"));
    expect(report()).toMatchObject([{ exposureCount: 1, outcomeCount: 1, errorCount: 0, sketch: [[124, 1]] }]);
  });

  it("takes the time since it was made where none that makes sense is given", () => {
    const { world, flags, report } = live();
    for (const given of [undefined, Number.NaN, -1, Number.POSITIVE_INFINITY, "7"]) {
      const exposure = flags.expose("redis", "a");
      world.time.advance(100);
      exposure.success(given as number);
    }
    expect(report()).toMatchObject([{ outcomeCount: 5, sketch: [[230, 5]] }]);
  });

  it("of an unknown flag tells nobody anything", () => {
    const exposure = live().flags.expose("unknown", "a");
    expect(exposure).toMatchObject({ variant: null, value: null });
    exposure.success();
    exposure.error();
  });
});

describe("TE-43 a batch that is full of names and counts", () => {
  it.each([21, 22, 23, 24])(
    "has evidence and unknown names as well, at names of %i letters: more are always waiting",
    (length) => {
      const world = createSdkWorld(1, createOrigin([flag(100)]));
      const many = Array.from({ length: 900 }, (_, index) => booleanFlag(`${index}-`.padEnd(length, "n")));
      for (const each of many) world.origin.put(each);
      world.serve();
      const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
      for (let second = 0; second < 30; second += 1) {
        world.time.advance(1_000);
        for (const { key } of many) flags.isEnabled(key, "u");
        flags.isEnabled("redis", "u");
        flags.isEnabled("misspelled", "u");
      }
      const full = world.telemetry.batches.filter(({ cells }) => cells.length > 300);
      expect(full.length).toBeGreaterThan(20);
      expect(full.slice(1).filter(({ evidence = [] }) => evidence.length === 0)).toEqual([]);
      expect(full.filter(({ unknown = [] }) => unknown.length === 0)).toEqual([]);
    },
  );
});

describe("TE-38 track() is charged to what its user gets", () => {
  it("in rollouts that look at the metric, in the interval in which the user was exposed", () => {
    const { world, flags, cells } = live(flag(50));
    const [user = ""] = usersOf(flags, "off", 1);
    world.time.advance(20_000);
    const before = cells().length;
    flags.isEnabled("redis", user);
    world.time.advance(25_000);
    flags.track("conversion", user, 5);
    flags.track("conversion", user);
    flags.track("other", user);
    world.time.advance(6_000);
    const [exposed, tracked] = cells().slice(before);
    expect(exposed).toMatchObject({ variant: "off", unitCount: 1 });
    expect(tracked).toMatchObject({
      variant: "off",
      interval: exposed?.interval,
      unitCount: 0,
      metrics: { conversion: { eventCount: 2, unitEventCount: 1, sum: 6, sumOfSquares: 26 } },
    });
  });

  it("also of a metric that the stage came to name while it was under way", () => {
    const { world, flags, cells } = live(flag(50, { metrics: [] }));
    const [user = ""] = usersOf(flags, "off", 1);
    world.origin.put(flag(50, { metrics: ["conversion"] }));
    world.time.advance(20_000);
    const before = cells().length;
    flags.isEnabled("redis", user);
    world.time.advance(25_000);
    flags.track("conversion", user);
    world.time.advance(6_000);
    const [exposed, tracked] = cells().slice(before);
    expect(tracked).toMatchObject({ interval: exposed?.interval, unitCount: 0, metrics: { conversion: {} } });
  });

  it("makes a unit of a user whom this process has not exposed within a minute, and no exposure", () => {
    const { world, flags, report } = live();
    flags.isEnabled("redis", "a");
    world.time.advance(70_000);
    flags.track("conversion", "a");
    const [cell] = report();
    expect(cell).toMatchObject({ exposureCount: 0, unitCount: 1, metrics: { conversion: { unitEventCount: 1 } } });
    expect(cell?.groups).toHaveLength(1);
  });

  it("refuses values that are none, and counts them as dropped", () => {
    const { flags } = live();
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60, "1", null]) {
      flags.track("conversion", "a", value as number);
    }
    expect(flags.status().counters.evidenceDropped).toBe(5);
  });
});

describe("TE-39 a gauge reports its last value", () => {
  it("once for each batch, with its interval, whatever rollouts there are", () => {
    const { world, flags } = live(booleanFlag("redis"));
    flags.gauge("queue_depth", 7);
    flags.gauge("queue_depth", -2.5);
    flags.gauge("Not A Metric", 1);
    flags.gauge("queue_depth", Number.NaN);
    world.time.advance(61_000);
    expect(world.telemetry.batches).toMatchObject([
      { gauges: [{ metric: "queue_depth", last: -2.5 }], evidenceDropped: 2 },
    ]);
    world.time.advance(61_000);
    expect(world.telemetry.batches).toHaveLength(1);
  });

  it("of at most 32 metrics", () => {
    const { world, flags } = live();
    for (let index = 0; index < 40; index += 1) flags.gauge(`gauge_${index}`, index);
    world.time.advance(6_000);
    expect(world.telemetry.batches[0]?.gauges).toHaveLength(32);
    expect(flags.status().counters.evidenceDropped).toBe(8);
  });
});

describe("TE-41 how often batches go out", () => {
  it("is every 5 s while a rollout is live, and every 60 s otherwise", () => {
    const { world, flags } = live(flag(100));
    const count = (ms: number): number => {
      const before = world.telemetry.batches.length;
      for (let second = 0; second < ms / 1_000; second += 1) {
        flags.isEnabled("redis", "a");
        world.time.advance(1_000);
      }
      return world.telemetry.batches.length - before;
    };
    expect(count(60_000)).toBe(12);
    world.origin.put(booleanFlag("redis"));
    world.time.advance(10);
    expect(count(120_000)).toBe(2);
    world.origin.put(flag(100));
    world.time.advance(10);
    expect(count(60_000)).toBe(12);
  });

  it("is every 5 s too where the rollout began behind an override that is gone", () => {
    const { world, flags } = live(booleanFlag("redis"), { overrideFile: "/o.json" });
    world.files.contents.set("/o.json", '{ "redis": "off" }');
    world.time.advance(2_000);
    world.origin.put(flag(100));
    world.time.advance(2_000);
    world.files.contents.delete("/o.json");
    world.time.advance(2_000);
    const before = world.telemetry.batches.length;
    for (let second = 0; second < 60; second += 1) {
      flags.isEnabled("redis", "a");
      world.time.advance(1_000);
    }
    expect(world.telemetry.batches.length - before).toBe(12);
  });

  it("is what the server asks for, until a rollout begins or ends", () => {
    const { world, node, flags } = live(flag(100));
    for (const connection of node.connections) connection.send({ type: "telemetry_ack", sequence: 0, nextMs: 30_000 });
    world.time.advance(10);
    flags.isEnabled("redis", "a");
    world.time.advance(29_000);
    expect(world.telemetry.batches).toHaveLength(0);
    world.time.advance(1_000);
    expect(world.telemetry.batches).toHaveLength(1);
  });

  it("is at once when nothing else keeps the process alive", () => {
    let exit = (): void => {};
    const world = createSdkWorld(1, createOrigin([flag(100)]));
    world.serve();
    const platform = { ...world.platform, beforeExit: (task: () => void) => ((exit = task), () => (exit = () => {})) };
    const flags = createFlagsOn(platform, { url: "https://flags.test", token: "t", cacheFile: false });
    world.time.advance(100);
    flags.isEnabled("redis", "a");
    exit();
    world.time.advance(10);
    expect(world.telemetry.batches).toHaveLength(1);
  });

  it("is by POST while polling", () => {
    const { world, node } = live();
    const { request } = world.leadTo(node);
    world.network.server = { socket: (peer) => peer.refuse(426), request };
    const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", instance: "poller" });
    world.time.advance(1_000);
    flags.isEnabled("redis", "a");
    world.time.advance(6_000);
    expect(flags.status().transport).toBe("poll");
    expect(world.telemetry.batches).toMatchObject([{ instance: "poller", evidence: [{ exposureCount: 1 }] }]);
  });
});

describe("TE-42 overridden flags", () => {
  it("are named in every batch, and their traffic is no evidence", () => {
    const { world, flags } = live(flag(100), {}, ({ environment }) => {
      environment.BUNTING_FLAG_REDIS = "off";
    });
    flags.isEnabled("redis", "a");
    flags.run("redis", "a", { on: () => 1, off: () => 2 });
    flags.track("conversion", "a");
    world.time.advance(61_000);
    expect(world.telemetry.batches).toMatchObject([{ overridden: ["redis"], cells: [] }]);
    expect(world.telemetry.batches[0]?.evidence).toBeUndefined();
  });

  it("are told of when they come and go, with nothing else to say", () => {
    const { world } = live(flag(100), { overrideFile: "/o.json" });
    world.files.contents.set("/o.json", '{ "redis": "off" }');
    world.time.advance(66_000);
    world.files.contents.set("/o.json", "{}");
    world.time.advance(66_000);
    expect(world.telemetry.batches.map(({ overridden }) => overridden)).toEqual([["redis"], undefined]);
  });
});

describe("TE-43 there are limits to what is kept and sent", () => {
  it("a batch fits into a message of the stream, and the rest follows at once", () => {
    const keys = Array.from({ length: 30 }, (_, index) => `flag-${index}`);
    const entries = keys.map((key, index) =>
      booleanFlag(key, { percent: 50, entry: { rollout: { ...ROLLOUT, id: key, groupSalt: index } } }),
    );
    const world = createSdkWorld(1, createOrigin(entries));
    world.serve();
    const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
    world.time.advance(100);
    let produced = 0;
    for (let user = 0; user < 300; user += 1) {
      for (const key of keys) {
        flags.expose(key, `u-${user}`).success(((user * 37) % 5_000) + 1);
        produced += 2;
      }
    }
    world.time.advance(30_000);
    const { batches } = world.telemetry;
    const counted = batches.flatMap(({ evidence = [] }) => evidence);
    expect(sum(counted, "exposureCount") + sum(counted, "outcomeCount")).toBe(produced);
    expect(batches.length).toBeGreaterThan(3);
    for (const batch of batches) {
      expect(telemetryBatch.safeParse(batch).success).toBe(true);
      expect(JSON.stringify(batch).length).toBeLessThan(64 * 1024);
    }
  });

  it("an outage of an hour costs the oldest cells, and every count of them is reported as dropped", () => {
    const { world, flags } = live(flag(50));
    const server = world.network.server;
    world.network.server = NO_SERVER;
    world.network.fate = () => "cut";
    let produced = 0;
    const traffic = (): void => {
      for (let user = 0; user < 6; user += 1) {
        flags.run("redis", `u-${user}`, { on: () => 1, off: () => 2 });
        produced += 2;
      }
    };
    for (let interval = 0; interval < 700; interval += 1) {
      traffic();
      world.time.advance(10_000);
    }
    world.network.fate = () => "deliver";
    world.network.server = server;
    world.time.advance(400_000);
    expect(flags.status().counters.evidencePending).toBe(0);
    expect(flags.status().counters.evidenceDropped).toBeGreaterThan(1_000);
    expect(accounted(world.telemetry.batches)).toBe(produced);
  });

  it("at most 100 rollouts give evidence; the others are served as ever", () => {
    const entries = Array.from({ length: 120 }, (_, index) =>
      booleanFlag(`flag-${index}`, { entry: { rollout: { ...ROLLOUT, id: `r-${index}` } } }),
    );
    const world = createSdkWorld(1, createOrigin(entries));
    world.serve();
    const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
    world.time.advance(100);
    for (let index = 0; index < 120; index += 1) expect(flags.isEnabled(`flag-${index}`, "u")).toBe(true);
    expect(flags.status().counters.evidencePending).toBe(100);
  });

  it("after close() nothing is left that ticks, and evaluations go on", async () => {
    const { world, flags } = live();
    flags.isEnabled("redis", "a");
    const closing = flags.close();
    await world.time.advanceAsync(2_000);
    await closing;
    flags.run("redis", "a", { on: () => 1, off: () => 2 });
    world.time.advance(60_000);
    expect(flags.run("redis", "a", { on: () => 1, off: () => 2 })).toBe(1);
    expect(world.time.pending).toBe(1); // the node's own heartbeat
  });
});

/** Exposures, outcomes and calls of track that the server has, or was told were dropped. */
function accounted(batches: readonly TelemetryBatch[]): number {
  let events = 0;
  for (const { evidence = [], evidenceDropped = 0 } of batches) {
    events += sum(evidence, "exposureCount") + sum(evidence, "outcomeCount") + evidenceDropped;
    for (const { metrics = {} } of evidence) for (const { eventCount } of Object.values(metrics)) events += eventCount;
  }
  return events;
}
