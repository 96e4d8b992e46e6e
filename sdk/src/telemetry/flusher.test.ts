import type { TelemetryBatch } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { booleanFlag, createOrigin, createSdkWorld, NO_SERVER, type SdkWorld, type StreamNode } from "@bunting/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { Flags } from "../types.ts";
import { createSlots } from "./slots.ts";

const OPTIONS = { url: "https://flags.test", token: "t", cacheFile: false } as const;

function live(world = createSdkWorld(1, createOrigin([booleanFlag("a"), booleanFlag("b", { percent: 0 })]))): {
  world: SdkWorld;
  node: StreamNode;
  flags: Flags;
} {
  const node = world.serve();
  const flags = createFlagsOn(world.platform, OPTIONS);
  world.time.advance(100);
  return { world, node, flags };
}

const evaluate = (flags: Flags, times: number): void => {
  for (let time = 0; time < times; time += 1) flags.isEnabled("a", "u");
};

function settling(work: Promise<void>): () => boolean {
  let isDone = false;
  void work.then(() => {
    isDone = true;
  });
  return () => isDone;
}

describe("LC-60 exposures are counted by flag and variant", () => {
  it("and sent once a minute", () => {
    const { world, flags } = live();
    evaluate(flags, 5);
    flags.variant("b", "u");
    flags.evaluate("b", "u");
    flags.isEnabled("unknown", "u");
    world.time.advance(59_000);
    expect(world.telemetry.batches).toEqual([]);
    world.time.advance(2_000);
    expect(world.telemetry.batches).toMatchObject([
      {
        instance: "test-instance",
        sequence: 1,
        cells: [
          { flag: "a", variant: "on", exposures: 5 },
          { flag: "b", variant: "off", exposures: 2 },
        ],
        unknown: [{ flag: "unknown", evaluations: 1 }],
      },
    ]);
    expect(flags.status().counters.pending).toBe(0);
    world.time.advance(600_000);
    expect(world.telemetry.batches).toHaveLength(1);
  });

  it("or as often as the server asks", () => {
    const { world, node, flags } = live();
    for (const connection of node.connections) connection.send({ type: "telemetry_ack", sequence: 0, nextMs: 5_000 });
    world.time.advance(10);
    evaluate(flags, 1);
    world.time.advance(5_000);
    expect(world.telemetry.total).toBe(1);
  });
});

describe("LC-61, TE-14 one batch is in flight until it is acknowledged", () => {
  it("is sent again when the server says that it came too soon (TE-11)", () => {
    const { world, node, flags } = live();
    world.network.fate = (from, text) => (from === "client" && text.includes('"telemetry"') ? "drop" : "deliver");
    evaluate(flags, 3);
    world.time.advance(60_100);
    world.network.fate = () => "deliver";
    for (const connection of node.connections) {
      connection.send({ type: "error", code: "message_rate", message: "", fatal: false, retryAfterMs: 4_000 });
    }
    world.time.advance(3_900);
    expect(world.telemetry.batches).toEqual([]);
    world.time.advance(200);
    expect(world.telemetry.total).toBe(3);
    expect(flags.status().counters.pending).toBe(0);
  });

  it("is sent again on the next connection, and merged once", () => {
    const { world, node, flags } = live();
    world.network.fate = (from, text) => (from === "server" && text.includes("telemetry_ack") ? "drop" : "deliver");
    evaluate(flags, 3);
    world.time.advance(60_100);
    expect(world.telemetry.total).toBe(3);
    expect(flags.status().counters.pending).toBe(3);
    evaluate(flags, 4);
    world.time.advance(120_000);
    expect(world.telemetry.batches).toHaveLength(1);
    world.network.fate = () => "deliver";
    for (const connection of node.connections) connection.close(1006);
    world.time.advance(130_000);
    expect(world.telemetry.total).toBe(7);
    expect(world.telemetry.batches.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(flags.status().counters.pending).toBe(0);
  });

  it("changes nothing between two sendings but its age", () => {
    const { world, node, flags } = live();
    world.network.fate = (from, text) => (from === "server" && text.includes("telemetry_ack") ? "drop" : "deliver");
    evaluate(flags, 3);
    world.time.advance(60_000);
    evaluate(flags, 3);
    world.time.advance(31_000);
    const sent = [...node.connections].flatMap(({ received }) => received).filter(({ type }) => type === "telemetry");
    expect(sent).toHaveLength(2);
    const [first, second] = sent.map((message) => (message.type === "telemetry" ? message.batch : null));
    expect({ ...second, ageMs: 0 }).toEqual({ ...first, ageMs: 0 });
    expect(second?.ageMs).toBeGreaterThanOrEqual(29_000);
  });

  it("is believed done where the welcome says so", () => {
    const { world, node, flags } = live();
    world.network.fate = (from, text) => (from === "server" && text.includes("telemetry_ack") ? "drop" : "deliver");
    evaluate(flags, 3);
    world.time.advance(60_100);
    for (const connection of node.connections) connection.close(1006);
    world.time.advance(300);
    expect(flags.status().counters.pending).toBe(0);
    const again = [...node.connections].flatMap(({ received }) => received).filter(({ type }) => type === "telemetry");
    expect(again).toEqual([]);
  });
});

describe("LC-62, TE-17 produced = acknowledged + reported as dropped + pending", () => {
  it("counts a refused batch as dropped in the next one (TE-6)", () => {
    const { world, node, flags } = live();
    evaluate(flags, 3);
    world.network.fate = (from, text) => (from === "client" && text.includes('"telemetry"') ? "drop" : "deliver");
    world.time.advance(60_100);
    for (const connection of node.connections) {
      connection.send({ type: "error", code: "telemetry_too_old", message: "too old", fatal: false, sequence: 1 });
    }
    world.network.fate = () => "deliver";
    world.time.advance(61_000);
    expect(world.telemetry.batches).toMatchObject([{ sequence: 2, cells: [], dropped: 3 }]);
    expect(flags.status().counters).toMatchObject({ dropped: 3, pending: 0 });
  });

  it("counts a batch that a POST refuses as dropped, and goes on with the next (TE-6, TE-14)", () => {
    const { world, node } = live();
    const { request } = world.leadTo(node);
    const refusal = { kind: "answered", status: 400, headers: new Map(), body: '{"code":"invalid_request"}' } as const;
    let posts = 0;
    world.network.server = {
      socket: (peer) => peer.refuse(426),
      request: (asked, answer) => {
        if (asked.method !== "POST") return request(asked, answer);
        posts += 1;
        const batch = JSON.parse(asked.body) as TelemetryBatch;
        if (batch.sequence > 1) return request(asked, answer);
        // The number of a batch that does not fit the schema is taken, and it is refused whenever it comes.
        world.telemetry.merge({ ...batch, cells: [] });
        return answer(refusal);
      },
    };
    const flags = createFlagsOn(world.platform, { ...OPTIONS, instance: "poller" });
    world.time.advance(1_000);
    evaluate(flags, 3);
    world.time.advance(61_000);
    evaluate(flags, 2);
    world.time.advance(61_000);
    expect(world.telemetry.batches).toMatchObject([
      { sequence: 1 },
      { sequence: 2, cells: [{ exposures: 2 }], dropped: 3 },
    ]);
    expect(flags.status().counters).toMatchObject({ dropped: 3, pending: 0 });
    expect(posts).toBe(2);
  });

  it("drops a batch that is older than an hour, under a new boot (TE-16)", () => {
    const { world, flags } = live();
    world.network.fate = (from, text) => (from === "client" && text.includes('"telemetry"') ? "drop" : "deliver");
    evaluate(flags, 3);
    world.time.advance(3_700_000);
    world.network.fate = () => "deliver";
    world.time.advance(200_000);
    expect(world.telemetry.total).toBe(3);
    expect(world.telemetry.batches).toMatchObject([{ sequence: 1, dropped: 3 }]);
    expect(flags.status()).toMatchObject({ state: "live", counters: { dropped: 3, pending: 0 } });
  });

  it("in every order of counting, changing variants, removing flags and taking", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("count" as const), flag: fc.nat(3), variant: fc.nat(2) }),
      fc.record({ do: fc.constant("variants" as const), flag: fc.nat(3), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ do: fc.constant("remove" as const), flag: fc.nat(3) }),
      fc.record({ do: fc.constant("unknown" as const), name: fc.string({ unit: "binary" }) }),
      fc.record({ do: fc.constant("take" as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const slots = createSlots();
        const arrays = new Map<string, Int32Array>();
        let [produced, taken] = [0, 0];
        const take = (): void => {
          const counts = slots.take();
          for (const { exposures } of counts?.cells ?? []) taken += exposures;
          for (const { evaluations } of counts?.unknown ?? []) taken += evaluations;
          taken += counts?.dropped ?? 0;
        };
        for (const action of steps) {
          if (action.do === "take") take();
          else if (action.do === "unknown") {
            slots.countUnknown(action.name);
            produced += 1;
          } else if (action.do === "remove") {
            arrays.delete(`f${action.flag}`);
            slots.retain((flag) => flag !== `f${action.flag}`);
          } else if (action.do === "variants") {
            const variants = ["x", "y", "z"].slice(0, action.count);
            arrays.set(`f${action.flag}`, slots.of(`f${action.flag}`, variants));
          } else {
            const counts = arrays.get(`f${action.flag}`);
            if (counts === undefined || action.variant >= counts.length) continue;
            counts[action.variant] = (counts[action.variant] ?? 0) + 1;
            produced += 1;
          }
          expect(taken + slots.pending).toBe(produced);
        }
        while (slots.pending > 0) take();
        expect(taken).toBe(produced);
      }),
    );
  });

  it("folds unknown names above the limit, and names that cannot be stored, into dropped", () => {
    const slots = createSlots();
    for (let index = 0; index < 150; index += 1) slots.countUnknown(`flag-${index}`);
    for (const name of ["\ud800", "x\0y", "é".repeat(65), "x".repeat(10_000_000)]) slots.countUnknown(name);
    const counts = slots.take();
    expect(counts?.unknown).toHaveLength(100);
    expect(counts?.dropped).toBe(54);
  });

  it("splits what is more than a batch holds", () => {
    const slots = createSlots();
    for (let index = 0; index < 2_500; index += 1) slots.of(`f${index}`, ["on"]).fill(1);
    expect([slots.take(), slots.take(), slots.take(), slots.take()].map((counts) => counts?.cells.length)).toEqual([
      1_000,
      1_000,
      500,
      undefined,
    ]);
  });
});

describe("LC-63 one way at a time", () => {
  it("posts while it polls, and only then", () => {
    const { world, node } = live();
    const { request } = world.network.server;
    const posts: string[] = [];
    world.network.server = {
      socket: (peer) => peer.refuse(426),
      request: (asked, answer) => {
        if (asked.method === "POST") posts.push(asked.body);
        request(asked, answer);
      },
    };
    const flags = createFlagsOn(world.platform, { ...OPTIONS, instance: "poller" });
    world.time.advance(1_000);
    expect(flags.status().transport).toBe("poll");
    evaluate(flags, 2);
    world.time.advance(61_000);
    expect(posts).toHaveLength(1);
    expect(world.telemetry.total).toBe(2);
    world.network.server = world.leadTo(node);
    world.time.advance(300_000);
    expect(flags.status().transport).toBe("stream");
    evaluate(flags, 2);
    world.time.advance(61_000);
    expect(posts).toHaveLength(1);
    expect(world.telemetry.total).toBe(4);
  });

  it("keeps counting without any way, and loses nothing", () => {
    const { world, node, flags } = live();
    const server = world.leadTo(node);
    world.network.server = {
      socket: (peer) => peer.refuse(401),
      request: (_r, answer) => answer({ kind: "answered", status: 401, headers: new Map(), body: "" }),
    };
    for (const connection of node.connections) connection.close(4401);
    for (let minute = 0; minute < 60; minute += 1) {
      evaluate(flags, 10);
      world.time.advance(60_000);
    }
    expect(flags.status()).toMatchObject({ state: "waiting", counters: { pending: 600 } });
    world.network.server = server;
    world.time.advance(600_000);
    expect(world.telemetry.total).toBe(600);
  });
});

describe("LC-64, TE-15 a server that lost its history", () => {
  it("gets the same cells under a new boot, on a new connection", () => {
    const { world, node, flags } = live();
    evaluate(flags, 2);
    world.time.advance(61_000);
    world.telemetry.forget();
    evaluate(flags, 3);
    for (const connection of node.connections) connection.close(1006);
    world.time.advance(120_000);
    const [first, second] = world.telemetry.batches;
    expect(second).toMatchObject({ sequence: 1, cells: [{ exposures: 3 }] });
    expect(second?.boot).not.toBe(first?.boot);
    expect(flags.status()).toMatchObject({ state: "live", counters: { telemetryRestarts: 1, pending: 0 } });
    const boots = world.network.attempts.map(({ url }) => url.searchParams.get("boot"));
    expect(boots.at(-1)).toBe(second?.boot);
    expect(world.network.attempts.at(-1)?.url.searchParams.has("resume")).toBe(false);
  });

  it("is not one whose welcome was overtaken by an acknowledgement: nothing is counted twice", () => {
    const { world, node } = live();
    const leading = world.leadTo(node);
    let answersPosts = true;
    world.network.server = {
      socket: (peer) => peer.refuse(426),
      request: (asked, answer) =>
        leading.request(asked, (given) => (asked.method === "GET" || answersPosts) && answer(given)),
    };
    const flags = createFlagsOn(world.platform, { ...OPTIONS, instance: "poller" });
    world.time.advance(1_000);
    const post = (times: number): void => {
      evaluate(flags, times);
      void flags.flush();
      world.time.advance(1_100);
    };
    post(1);
    expect(world.telemetry.total).toBe(1);
    // A stream is opened, and what the server says on it is on its way for four seconds.
    world.network.fate = (from) => (from === "server" ? { delayMs: 4_000 } : "deliver");
    const opened = world.network.attempts.length;
    world.network.server = { ...world.network.server, socket: leading.socket };
    while (world.network.attempts.length === opened) world.time.advance(100);
    post(2);
    answersPosts = false;
    post(4);
    expect(world.telemetry.total).toBe(7);
    world.time.advance(60_000);
    expect(world.telemetry.total).toBe(7);
    expect(flags.status()).toMatchObject({ transport: "stream", counters: { telemetryRestarts: 0, pending: 0 } });
  });
});

describe("LC-65 flush() and close()", () => {
  it("send what is there and wait for the answer", async () => {
    const { world, flags } = live();
    evaluate(flags, 7);
    const flushing = flags.flush();
    world.time.advance(5);
    await flushing;
    expect(world.telemetry.total).toBe(7);
    evaluate(flags, 2);
    const closing = flags.close();
    await world.time.advanceAsync(2_000);
    await closing;
    expect(world.telemetry.total).toBe(9);
    expect(world.time.pending).toBe(1); // the node's own heartbeat
  });

  it("wait for a connection that is being opened: a job may be done before", async () => {
    const origin = createOrigin([booleanFlag("a")]);
    const world = createSdkWorld(1, origin);
    world.serve();
    const flags = createFlagsOn(world.platform, { ...OPTIONS, bootstrap: origin.ruleset });
    evaluate(flags, 3);
    const closing = flags.close();
    await world.time.advanceAsync(1_000);
    await closing;
    expect(world.telemetry.total).toBe(3);
  });

  it("and go on as soon as it is refused", async () => {
    const origin = createOrigin([booleanFlag("a")]);
    const world = createSdkWorld(1, origin);
    world.network.server = NO_SERVER;
    const flags = createFlagsOn(world.platform, { ...OPTIONS, bootstrap: origin.ruleset });
    evaluate(flags, 3);
    const closing = flags.close();
    await world.time.advanceAsync(100);
    await closing;
    expect(world.held).toBe(0);
  });

  it.each([
    ["at once", 0],
    ["behind a batch in flight", 1],
  ])("wait for what was counted before, however busy it stays: %s", async (_, behind) => {
    const { world, flags } = live();
    evaluate(flags, 7);
    if (behind === 1) void flags.flush();
    evaluate(flags, 2);
    const isDone = settling(flags.flush());
    // What was counted when it asked has to be there; the server has it by the second batch at the latest.
    for (let elapsed = 0; !isDone() && elapsed < 3_000; elapsed += 1) {
      evaluate(flags, 1);
      await world.time.advanceAsync(1);
    }
    expect(world.telemetry.total).toBeGreaterThanOrEqual(9);
    expect(world.telemetry.batches).toHaveLength(1 + behind);
    const acknowledged = world.telemetry.total;
    await world.time.advanceAsync(5_000);
    expect(world.telemetry.total).toBe(acknowledged);
    expect(world.held).toBe(0);
  });

  it("take several batches where one does not hold what was counted", async () => {
    const flagsOfTwo = Array.from({ length: LIMITS.telemetryCells + 1 }, (_, index) => booleanFlag(`f${index}`));
    const { world, flags } = live(createSdkWorld(1, createOrigin(flagsOfTwo)));
    for (const { key } of flagsOfTwo) flags.isEnabled(key, "u");
    const flushing = flags.flush();
    await world.time.advanceAsync(1_500);
    await flushing;
    expect(world.telemetry.total).toBe(LIMITS.telemetryCells + 1);
  });

  it("as many as fit into messages of the stream, however long the names (TE-43, ST-57)", async () => {
    const flagsOfOne = Array.from({ length: 900 }, (_, index) => booleanFlag(`${index}-`.padEnd(100, "n")));
    const { world, node, flags } = live(createSdkWorld(1, createOrigin(flagsOfOne)));
    for (const { key } of flagsOfOne) flags.isEnabled(key, "u");
    // Names of the application's own making, as JSON writes them at their longest: six bytes for one.
    for (let index = 0; index < LIMITS.telemetryUnknownFlags; index += 1) {
      flags.isEnabled(`${index}`.padEnd(LIMITS.keyCharacters, "\u0001"), "u");
    }
    const flushing = flags.flush();
    await world.time.advanceAsync(10_000);
    await flushing;
    expect(world.telemetry.total).toBe(900 + LIMITS.telemetryUnknownFlags);
    expect(world.telemetry.batches.flatMap(({ unknown = [] }) => unknown)).toHaveLength(LIMITS.telemetryUnknownFlags);
    for (const message of [...node.connections].flatMap(({ received }) => received)) {
      expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(LIMITS.streamMessageBytes);
    }
    expect(flags.status().counters).toMatchObject({ dropped: 0, pending: 0 });
  });

  it("with all that gauges say beside them (TE-43, ST-57)", () => {
    const many = Array.from({ length: 700 }, (_, index) => booleanFlag(`${index}-`.padEnd(50, "n")));
    const { world, node, flags } = live(createSdkWorld(1, createOrigin(many)));
    for (const { key } of many) flags.isEnabled(key, "u");
    for (let index = 0; index < LIMITS.gaugesPerBatch; index += 1) flags.gauge(`g_${index}`.padEnd(64, "g"), index);
    world.time.advance(61_000);
    for (const message of [...node.connections].flatMap(({ received }) => received)) {
      expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(LIMITS.streamMessageBytes);
    }
    expect(world.telemetry.total).toBe(many.length);
    expect(world.telemetry.batches.flatMap(({ gauges = [] }) => gauges)).toHaveLength(LIMITS.gaugesPerBatch);
  });

  it("wait no longer than 2 s, and not at all without a way", async () => {
    const { world, flags } = live();
    world.network.fate = (from) => (from === "client" ? "drop" : "deliver");
    evaluate(flags, 1);
    const isDone = settling(flags.flush());
    await world.time.advanceAsync(1_990);
    expect(isDone()).toBe(false);
    await world.time.advanceAsync(20);
    expect(isDone()).toBe(true);
    const alone = createFlagsOn(createSdkWorld().platform, OPTIONS);
    await alone.flush();
    expect(world.held).toBe(0);
  });

  it("wait for no answer once its way is gone", async () => {
    const { world, node, flags } = live();
    world.network.fate = (from) => (from === "client" ? "drop" : "deliver");
    evaluate(flags, 1);
    const isDone = settling(flags.flush());
    await world.time.advanceAsync(100);
    expect(isDone()).toBe(false);
    world.network.server = NO_SERVER;
    for (const connection of node.connections) connection.close(1001);
    await world.time.advanceAsync(500);
    expect(isDone()).toBe(true);
  });
});
