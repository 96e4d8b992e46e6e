import {
  booleanFlag,
  createOrigin,
  createSdkWorld,
  type MemoryAnswer,
  type SdkWorld,
  type StreamNode,
} from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { Flags } from "../types.ts";

interface Polled {
  readonly world: SdkWorld;
  readonly node: StreamNode;
  readonly flags: Flags;
  /** When each poll began, ms. */
  readonly polls: number[];
  /** What was asked with, newest last. */
  readonly etags: (string | undefined)[];
  /** Answers the next polls with this instead of what the node says. */
  answer: ((polls: number) => MemoryAnswer) | null;
  /** How long a 304 is held back. */
  holdMs: number;
}

const JSON_TYPE = new Map([["content-type", "application/json"]]);

/** A world in which nothing but polling works. */
function polling(): Polled {
  const world = createSdkWorld(3, createOrigin([booleanFlag("redis")]));
  const node = world.serve();
  const { request } = world.leadTo(node);
  const state = {
    answer: null as Polled["answer"],
    holdMs: 25_000,
    polls: [] as number[],
    etags: [] as (string | undefined)[],
  };
  world.network.server = {
    socket: (peer) => peer.refuse(404),
    request(asked, done) {
      state.polls.push(world.time.clock.monotonic());
      state.etags.push(asked.headers["if-none-match"]);
      if (state.answer !== null) return done(state.answer(state.polls.length));
      request(asked, (answered) => {
        if (answered.kind !== "answered" || answered.status !== 304 || state.holdMs === 0) return done(answered);
        // Held until something commits, or the time is over.
        const stop = world.origin.onCommit(() => {
          finish();
          request(asked, done);
        });
        const cancel = world.time.scheduler.after(state.holdMs, () => {
          finish();
          done(answered);
        });
        const finish = (): void => {
          stop();
          cancel();
        };
      });
    },
  };
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
  world.time.advance(100);
  return Object.assign(state, { world, node, flags });
}

const gapsOf = (times: readonly number[]): number[] => times.slice(1).map((time, index) => time - (times[index] ?? 0));

describe("LC-45 polling", () => {
  it("asks with what it holds, and hears of a change in one round trip while the answer is held", () => {
    const polled = polling();
    expect(polled.flags.isEnabled("redis", "u")).toBe(true);
    polled.world.time.advance(5_000);
    expect(polled.etags).toEqual([undefined, '"epoch-1:1"']);
    polled.world.origin.kill("redis");
    polled.world.time.advance(3);
    expect(polled.flags.isEnabled("redis", "u")).toBe(false);
    expect(polled.flags.status()).toMatchObject({ transport: "poll", position: { revision: 2 }, stale: false });
  });

  it("has one request in flight, and follows a held 304 with the next", () => {
    const polled = polling();
    polled.world.time.advance(200_000);
    expect(polled.world.network.open).toBe(1);
    for (const gap of gapsOf(polled.polls).slice(1)) expect(gap).toBeCloseTo(25_002, -1);
    expect(polled.flags.status().ageMs).toBeLessThan(26_000);
  });

  it("never begins two within a second, however often things change", () => {
    const polled = polling();
    for (let change = 0; change < 200; change += 1) {
      polled.world.origin.put(booleanFlag("redis", { salt: change }));
      polled.world.time.advance(50);
    }
    for (const gap of gapsOf(polled.polls)) expect(gap).toBeGreaterThanOrEqual(999);
    polled.world.time.advance(1_100);
    expect(polled.flags.status().position?.revision).toBe(201);
  });

  it("asks every 30 s ± 20 % where the server does not hold", () => {
    const polled = polling();
    polled.holdMs = 0;
    polled.world.time.advance(3_600_000);
    const gaps = gapsOf(polled.polls).slice(2);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(24_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(36_100);
    expect(Math.max(...gaps) - Math.min(...gaps)).toBeGreaterThan(5_000);
  });

  it("backs off when it fails, obeys Retry-After, and is not lost by it", () => {
    const polled = polling();
    polled.answer = (polls) => ({
      kind: "answered",
      status: 503,
      headers: new Map(polls > 3 ? [["retry-after", "40"]] : []),
      body: "",
    });
    polled.world.time.advance(400_000);
    const gaps = gapsOf(polled.polls);
    expect(Math.min(...gaps.slice(4))).toBeGreaterThanOrEqual(40_000);
    expect(polled.flags.status()).toMatchObject({ transport: "none", stale: true });
    polled.answer = null;
    polled.world.time.advance(120_000);
    expect(polled.flags.status()).toMatchObject({ transport: "poll", stale: false });
  });
});

describe("LC-71 what changes by a poll says that it came by one", () => {
  it("with the first answer, and with the first after a failure", () => {
    const polled = polling();
    const heard: string[] = [];
    const listen = (flags: Flags): void => {
      flags.on("ready", () => heard.push(`ready ${flags.status().transport}`));
      flags.on("change", ({ revision }) => heard.push(`${revision} ${flags.status().transport}`));
    };
    const other = createFlagsOn(polled.world.platform, { url: "https://flags.test", token: "t", cacheFile: false });
    listen(other);
    polled.world.time.advance(2_000);
    expect(heard).toEqual(["1 poll", "ready poll"]);

    polled.answer = () => ({ kind: "failed", code: "ECONNRESET" });
    polled.world.origin.put(booleanFlag("redis", { salt: 1 }));
    polled.world.time.advance(2_000);
    polled.world.origin.put(booleanFlag("redis", { salt: 2 }));
    polled.world.time.advance(60_000);
    expect(other.status().transport).toBe("none");
    polled.world.origin.put(booleanFlag("redis", { salt: 3 }));
    polled.answer = null;
    polled.world.time.advance(60_000);
    expect(heard.slice(2)).toEqual(["2 poll", "4 poll"]);
  });

  it("while a stream is welcomed and has not caught up", () => {
    const polled = polling();
    const { world, node, flags } = polled;
    world.network.fate = (from, text) =>
      from === "server" && !/"type":"(?:welcome|heartbeat)"/.test(text) ? "drop" : "deliver";
    world.network.tamper = (text) => {
      const message = JSON.parse(text) as { type: string; revision: number };
      return message.type === "welcome" ? JSON.stringify({ ...message, revision: 9 }) : text;
    };
    world.network.server = { ...world.network.server, socket: world.leadTo(node).socket };
    while (flags.status().state !== "syncing" && world.time.clock.monotonic() < 600_000) world.time.advance(1_000);
    const heard: string[] = [];
    flags.on("change", ({ revision }) => heard.push(`${revision} ${flags.status().state} ${flags.status().transport}`));
    world.origin.put(booleanFlag("redis", { salt: 1 }));
    world.time.advance(2_000);
    expect(heard).toEqual(["2 syncing poll"]);
  });

  it("also where the answer is that nothing changed", () => {
    const polled = polling();
    const bootstrap = polled.world.origin.snapshot();
    const flags = createFlagsOn(polled.world.platform, {
      url: "https://flags.test",
      token: "t",
      cacheFile: false,
      bootstrap,
    });
    const heard: string[] = [];
    flags.on("ready", () => heard.push(flags.status().transport));
    polled.world.time.advance(30_000);
    expect(heard).toEqual(["poll"]);
  });
});

describe("LC-46 an answer that is not a ruleset replaces nothing", () => {
  const good = (polled: Polled): object => polled.world.origin.snapshot();
  const cases: [string, (polled: Polled) => MemoryAnswer][] = [
    [
      "HTML with status 200",
      () => ({ kind: "answered", status: 200, headers: new Map([["content-type", "text/html"]]), body: "<html>" }),
    ],
    [
      "a ruleset that is called HTML",
      (polled) => ({
        kind: "answered",
        status: 200,
        headers: new Map([["content-type", "text/html"]]),
        body: JSON.stringify(good(polled)),
      }),
    ],
    [
      "no content type",
      (polled) => ({ kind: "answered", status: 200, headers: new Map(), body: JSON.stringify(good(polled)) }),
    ],
    [
      "a part of a snapshot",
      (polled) => ({
        kind: "answered",
        status: 200,
        headers: JSON_TYPE,
        body: JSON.stringify({ ...good(polled), parts: 2 }),
      }),
    ],
    [
      "a wrong checksum",
      (polled) => ({
        kind: "answered",
        status: 200,
        headers: JSON_TYPE,
        body: JSON.stringify({ ...good(polled), revision: 9, checksum: "00000000beef" }),
      }),
    ],
    [
      "an empty ruleset that does not add up",
      (polled) => ({
        kind: "answered",
        status: 200,
        headers: JSON_TYPE,
        body: JSON.stringify({ ...good(polled), revision: 9, flags: {} }),
      }),
    ],
    [
      "an older state",
      (polled) => ({
        kind: "answered",
        status: 200,
        headers: JSON_TYPE,
        body: JSON.stringify({ ...good(polled), revision: 0 }),
      }),
    ],
  ];

  it.each(cases)("%s", (_name, answer) => {
    const polled = polling();
    polled.answer = () => answer(polled);
    polled.world.time.advance(200_000);
    expect(polled.polls.length).toBeGreaterThan(3);
    expect(polled.flags.isEnabled("redis", "u")).toBe(true);
    expect(polled.flags.status()).toMatchObject({ position: { epoch: "epoch-1", revision: 1 }, transport: "none" });
  });

  it("but an empty environment may be announced as such", () => {
    const polled = polling();
    polled.world.time.advance(2_000);
    polled.world.origin.remove("redis");
    polled.world.time.advance(10);
    expect(polled.flags.evaluate("redis", "u").errorCode).toBe("FLAG_NOT_FOUND");
  });
});
