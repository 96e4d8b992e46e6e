import type { ClientMessage, Welcome } from "@bunting/contracts";
import {
  booleanFlag,
  createOrigin,
  createSdkWorld,
  type MemoryPeer,
  type Origin,
  type SdkWorld,
} from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { FlagsOptions } from "../options.ts";
import type { Flags } from "../types.ts";

/** A server that says only what the test tells it to say. */
interface Script {
  readonly world: SdkWorld;
  readonly origin: Origin;
  /** Connections, the newest last. */
  readonly peers: MemoryPeer[];
  /** What clients sent, over all connections. */
  readonly heard: ClientMessage[];
  readonly flags: Flags;
  peer(): MemoryPeer;
  say(...messages: object[]): void;
  welcome(more?: Partial<Welcome>): void;
  kinds(): string[];
}

function script(options: FlagsOptions = {}, flagCount = 1): Script {
  const origin = createOrigin(Array.from({ length: flagCount }, (_, index) => booleanFlag(`f${index}`)));
  const world = createSdkWorld(7, origin);
  const peers: MemoryPeer[] = [];
  const heard: ClientMessage[] = [];
  world.network.server = {
    request: (_request, answer) => answer({ kind: "failed", code: "ECONNREFUSED" }),
    socket(peer) {
      peers.push(peer);
      peer.onMessage = (text) => heard.push(JSON.parse(text));
      peer.accept();
    },
  };
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false, ...options });
  world.time.advance(3);
  const peer = (): MemoryPeer => {
    const last = peers.at(-1);
    if (last === undefined) throw new Error("No connection.");
    return last;
  };
  const say = (...messages: object[]): void => {
    for (const message of messages) peer().send(JSON.stringify(message));
    world.time.advance(2);
  };
  return {
    world,
    origin,
    peers,
    heard,
    flags,
    peer,
    say,
    welcome: (more = {}) =>
      say({
        type: "welcome",
        session: "s",
        resume: "r-1",
        resumeTtlMs: 120_000,
        epoch: origin.ruleset.epoch,
        revision: origin.ruleset.revision,
        checksum: origin.ruleset.checksum,
        mode: "snapshot",
        reason: "first",
        resumed: false,
        telemetrySequence: 0,
        heartbeatMs: 20_000,
        ackHoldMs: 100,
        node: "n",
        ...more,
      }),
    kinds: () => heard.map(({ type }) => type),
  };
}

let s: Script;
const status = () => s.flags.status();
const heartbeat = (more: object = {}): object => {
  const { revision, checksum } = s.origin.ruleset;
  return { type: "heartbeat", revision, checksum, ackHoldMs: 100, sentAt: 0, ...more };
};

beforeEach(() => {
  s = script();
  s.welcome();
  s.say(s.origin.snapshot());
  s.world.time.advance(200);
  s.heard.length = 0;
});

it("ST-10, ST-42 a first snapshot makes the client live and is acknowledged", () => {
  const first = script();
  first.welcome();
  expect(first.flags.status().state).toBe("syncing");
  first.say(first.origin.snapshot());
  expect(first.flags.status()).toMatchObject({ state: "live", position: { revision: 1 } });
  first.world.time.advance(200);
  expect(first.heard).toEqual([{ type: "ack", revision: 1, heldMs: expect.any(Number) }]);
});

describe("LC-32, ST-28 a patch applies only to the revision it follows", () => {
  it("drops what is old, also when it says something else (a rollback is A, B, A)", () => {
    const first = s.origin.put(booleanFlag("f0", { percent: 0 }));
    const second = s.origin.put(booleanFlag("f0", { percent: 100 }));
    s.say(first, second, first, second, first);
    expect(status()).toMatchObject({ state: "live", position: { revision: 3 } });
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
  });

  it("asks for a snapshot on a gap and keeps the state meanwhile", () => {
    s.origin.put(booleanFlag("f0", { percent: 0 }));
    s.say(s.origin.put(booleanFlag("new")));
    expect(s.heard).toEqual([{ type: "resync", reason: "gap" }]);
    expect(status()).toMatchObject({ state: "syncing", position: { revision: 1 } });
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
    s.say(s.origin.snapshot());
    expect(status()).toMatchObject({ state: "live", position: { revision: 3 }, counters: { resyncs: 1 } });
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
  });

  it("asks for a snapshot on a wrong checksum and keeps the state", () => {
    s.say({ ...s.origin.put(booleanFlag("f0", { percent: 0 })), checksum: "000000000001" });
    expect(s.heard).toEqual([{ type: "resync", reason: "checksum" }]);
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
    expect(status().position?.revision).toBe(1);
  });
});

describe("LC-33 resyncs are rare, and go on until one succeeds", () => {
  it("asks at 0, 5, 10, 20 s … up to every 5 minutes, with a snapshot that is always wrong", () => {
    s.say({ ...s.origin.put(booleanFlag("f0", { percent: 0 })), checksum: "000000000001" });
    const times: number[] = [];
    let seen = 0;
    for (let second = 0; second < 3_000; second += 1) {
      if (s.heard.filter(({ type }) => type === "resync").length > seen) {
        seen += 1;
        times.push(second);
        s.say({ ...s.origin.snapshot(), checksum: "00000000beef" });
      }
      if (second % 15 === 0) s.say(heartbeat({ revision: 1, checksum: "000000000001" }));
      s.world.time.advance(998);
    }
    const gaps = times.map((time, index) => time - (times[index - 1] ?? 0));
    expect(gaps.slice(0, 8)).toEqual([0, 5, 10, 20, 40, 80, 160, 300].map((gap) => expect.closeTo(gap, -1)));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(310);
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
  });
});

describe("LC-34, ST-38 a heartbeat finds what was lost", () => {
  it("gives the last patch a second to arrive, then asks", () => {
    s.origin.kill("f0");
    s.say(heartbeat());
    s.world.time.advance(990);
    expect(s.kinds()).toEqual(["ack"]);
    s.world.time.advance(20);
    expect(s.kinds()).toEqual(["ack", "resync"]);
    s.say(s.origin.snapshot());
    expect(s.flags.evaluate("f0", "u")).toMatchObject({ detail: "killed", value: false });
  });

  it("asks for nothing when it arrives in time", () => {
    const late = s.origin.put(booleanFlag("f0", { percent: 0 }));
    s.say(heartbeat());
    s.world.time.advance(500);
    s.say(late);
    s.world.time.advance(10_000);
    expect(s.kinds()).not.toContain("resync");
  });

  it("asks at once when the revision is the same and the checksum is not", () => {
    s.say(heartbeat({ checksum: "00000000beef" }));
    expect(s.heard.at(-1)).toEqual({ type: "resync", reason: "checksum" });
  });
});

describe("LC-35, ST-30 a frame that is not a valid message", () => {
  it.each(["{", "", "[]", '{"type":"patch"}', '{"type":"snapshot","epoch":""}', null])(
    "%j ends the connection",
    (text) => {
      s.peer().send(text);
      s.world.time.advance(2);
      expect(status()).toMatchObject({ state: "waiting", position: { revision: 1 }, lastError: { code: "malformed" } });
      expect(s.flags.isEnabled("f0", "u")).toBe(true);
      s.world.time.advance(200);
      expect(s.peers).toHaveLength(2);
      expect(s.peer().url.searchParams.has("revision")).toBe(false);
    },
  );

  it("good, garbage, good: the state is never lost", () => {
    s.peer().send("<html>captive portal</html>");
    s.world.time.advance(200);
    s.origin.put(booleanFlag("f0", { percent: 0 }));
    s.welcome();
    s.say(s.origin.snapshot());
    expect(status()).toMatchObject({ state: "live", position: { revision: 2 }, counters: { malformed: 1 } });
  });

  it("ignores types and fields that it does not know", () => {
    s.say({ type: "celebration", of: "2031" }, { ...heartbeat(), mood: "good" });
    expect(status().state).toBe("live");
  });

  it("a patch before the welcome is one", () => {
    s.peer().close(1006);
    s.world.time.advance(200);
    s.say(s.origin.put(booleanFlag("f0")));
    expect(status().lastError?.code).toBe("malformed");
  });
});

describe("LC-36, ST-34, ST-35 a kill that overtakes", () => {
  it("acts at once, does not move the position, and is not acknowledged", () => {
    s.origin.put(booleanFlag("other"));
    const kill = s.origin.kill("f0");
    s.say(kill);
    expect(s.flags.evaluate("f0", "u")).toMatchObject({
      value: false,
      detail: "killed",
      reason: "DISABLED",
      revision: 1,
    });
    expect(status().position?.revision).toBe(1);
    s.world.time.advance(500);
    expect(s.kinds()).toEqual([]);
  });

  it("holds until the position reaches it, and a later restore then counts", () => {
    const patch = s.origin.put(booleanFlag("other"));
    const kill = s.origin.kill("f0");
    const restore = s.origin.put(booleanFlag("f0"));
    s.say(kill, patch);
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
    s.say(kill);
    expect(status().position?.revision).toBe(3);
    s.say(restore, kill);
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
    expect(status().position?.revision).toBe(4);
  });

  it("holds until the highest of several", () => {
    const first = s.origin.put(booleanFlag("other"));
    const kill = s.origin.kill("f0");
    const restore = s.origin.put(booleanFlag("f0"));
    const again = s.origin.kill("f0");
    s.say(again, kill, first);
    s.say(kill, restore);
    expect(status().position?.revision).toBe(4);
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
    s.say(again);
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
  });

  it("asks for a snapshot when the missing revisions do not come within a second", () => {
    s.origin.put(booleanFlag("other"));
    s.say(s.origin.kill("f0"));
    s.world.time.advance(1_000);
    expect(s.kinds()).toEqual(["resync"]);
    s.say(s.origin.snapshot());
    expect(status()).toMatchObject({ state: "live", position: { revision: 3 } });
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
  });

  it("is remembered for a flag that is not known yet, and reaches flags that require the killed one", () => {
    const dependent = booleanFlag("dependent", { entry: { prerequisites: [{ flag: "f0", variants: ["on"] }] } });
    s.say(s.origin.put(dependent));
    expect(s.flags.isEnabled("dependent", "u")).toBe(true);
    const added = s.origin.put(booleanFlag("later"));
    const between = s.origin.put(booleanFlag("between"));
    const kill = s.origin.kill("later", "f0");
    s.say(kill);
    expect(s.flags.evaluate("dependent", "u").detail).toBe("prerequisite:f0");
    s.say(added);
    expect(s.flags.isEnabled("later", "u")).toBe(false);
    s.say(between, kill);
    expect(s.flags.isEnabled("later", "u")).toBe(false);
  });

  it("acts even when its checksum is wrong", () => {
    s.say({ ...s.origin.kill("f0"), checksum: "000000000001" });
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
    expect(s.kinds()).toEqual(["resync"]);
  });
});

describe("LC-30, ST-29 a snapshot in parts counts when it is whole", () => {
  const parts = (): object[] => {
    const { flags, ...rest } = s.origin.snapshot();
    const entries = Object.entries(flags);
    return entries.map(([key, flag], index) => ({
      ...rest,
      part: index + 1,
      parts: entries.length,
      flags: { [key]: flag },
    }));
  };

  beforeEach(() => {
    s.origin.put(...Array.from({ length: 5 }, (_, index) => booleanFlag(`f${index}`, { percent: 0 })));
  });

  it("shows nothing before the last part", () => {
    const all = parts();
    for (const part of all.slice(0, -1)) s.say(part);
    expect(status().position?.revision).toBe(1);
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
    s.say(all.at(-1) ?? {});
    expect(status().position?.revision).toBe(2);
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
  });

  it.each(["missing", "twice", "of another revision", "with a key of another part"])(
    "asks anew for a part %s",
    (fault) => {
      const all = parts();
      if (fault === "missing") all.splice(2, 1);
      if (fault === "twice") all.splice(2, 0, all[1] ?? {});
      if (fault === "of another revision") all[2] = { ...all[2], revision: 9 };
      if (fault === "with a key of another part") all[2] = { ...all[1], part: 3 };
      s.say(...all);
      expect(status().position?.revision).toBe(1);
      expect(s.heard).toContainEqual({ type: "resync", reason: "gap" });
      s.say(...parts());
      expect(status()).toMatchObject({ state: "live", position: { revision: 2 } });
    },
  );
});

describe("LC-31, ST-16, ST-17 never back", () => {
  it("refuses an older snapshot of the same epoch", () => {
    const old = s.origin.snapshot();
    s.say(s.origin.put(booleanFlag("f0", { percent: 0 })), old);
    expect(status()).toMatchObject({ position: { revision: 2 }, counters: { refused: 1 } });
  });

  it("never enters an epoch again that it has left", () => {
    const old = s.origin.snapshot();
    s.origin.rewriteHistory("epoch-2");
    s.peer().close(4510);
    s.world.time.advance(200);
    s.welcome();
    s.say(s.origin.snapshot());
    expect(status().position).toEqual({ epoch: "epoch-2", revision: 2 });
    s.peer().close(1006);
    s.world.time.advance(200);
    s.welcome({ epoch: "epoch-1", revision: 40 });
    s.say({ ...old, revision: 40 });
    expect(status()).toMatchObject({
      position: { epoch: "epoch-2" },
      state: "waiting",
      lastError: { code: "left_epoch" },
    });
  });

  it("does not apply a patch of another history to the state that happens to have its revision", () => {
    s.peer().close(1006);
    s.world.time.advance(200);
    const other = createOrigin([booleanFlag("f0", { percent: 1 })], "epoch-2");
    s.welcome({ epoch: "epoch-2", revision: 1, mode: "none" });
    s.say(other.put(booleanFlag("f0", { percent: 0 })));
    expect(status().position).toEqual({ epoch: "epoch-1", revision: 1 });
    expect(s.flags.isEnabled("f0", "u")).toBe(true);
    expect(s.kinds()).toContain("resync");
  });

  it("finds that a server of the same epoch and revision has another state", () => {
    s.peer().close(1006);
    s.world.time.advance(200);
    s.welcome({ mode: "none", reason: "current", checksum: "00000000beef" });
    expect(s.heard).toEqual([{ type: "resync", reason: "checksum" }]);
  });
});

describe("LC-16, ST-40 silence", () => {
  it("drops a connection from which nothing came for 1.5 heartbeats, whatever the wall clock says", () => {
    s.world.time.advance(29_000);
    s.say(heartbeat());
    s.world.time.jumpWallClock(10 * 365 * 86_400_000);
    s.world.time.advance(29_900);
    expect(status().state).toBe("live");
    s.world.time.jumpWallClock(-20 * 365 * 86_400_000);
    s.world.time.advance(200);
    expect(status().lastError?.code).toBe("silence");
    expect(s.peers).toHaveLength(2);
  });

  it("drops a connection that has no welcome after 10 s", () => {
    const mute = script();
    const errors: string[] = [];
    mute.flags.on("error", ({ code }) => errors.push(code));
    mute.world.time.advance(9_990);
    expect(mute.flags.status().state).toBe("connecting");
    mute.world.time.advance(20);
    expect(mute.flags.status().state).toBe("waiting");
    expect(errors[0]).toBe("silence");
  });
});

describe("LC-37 acks", () => {
  it("are held from the first revision on, and sent once with the time since the last", () => {
    s.say(s.origin.put(booleanFlag("a")));
    s.say(s.origin.put(booleanFlag("b")));
    s.world.time.advance(90);
    expect(s.heard).toEqual([]);
    s.world.time.advance(110);
    expect(s.heard).toEqual([{ type: "ack", revision: 3, heldMs: expect.any(Number) }]);
    const [ack] = s.heard;
    if (ack?.type === "ack") expect(ack.heldMs).toBeGreaterThanOrEqual(95);
    s.world.time.advance(5_000);
    expect(s.heard).toHaveLength(1);
  });

  it("answer a heartbeat at once", () => {
    s.say(heartbeat());
    expect(s.heard).toEqual([{ type: "ack", revision: 1, heldMs: expect.any(Number) }]);
  });

  it("are not held by a close()", async () => {
    s.say(s.origin.put(booleanFlag("a")));
    const closing = s.flags.close();
    await s.world.time.advanceAsync(5);
    await closing;
    s.world.time.advance(5);
    expect(s.heard).toEqual([{ type: "ack", revision: 2, heldMs: expect.any(Number) }]);
  });
});

describe("ST-45 what polling brought while the connection was being made", () => {
  it("is acknowledged with the hold, although the stream brings it no second time", () => {
    const polling = script();
    const { epoch, revision, checksum } = polling.origin.ruleset;
    let answer: () => void = () => {};
    polling.world.network.server = {
      socket: polling.world.network.server.socket,
      request(_request, done) {
        const headers = new Map([["content-type", "application/json"]]);
        const body = JSON.stringify(polling.origin.snapshot());
        answer = () => done({ kind: "answered", status: 200, headers, body });
      },
    };
    polling.peer().fail("ECONNRESET");
    polling.world.time.advance(200);
    expect(polling.peers).toHaveLength(2);
    answer();
    polling.world.time.advance(5);
    expect(polling.flags.status().position).toEqual({ epoch, revision });
    polling.welcome({ revision, checksum });
    polling.say(polling.origin.snapshot());
    expect(polling.heard).toEqual([]);
    polling.world.time.advance(200);
    expect(polling.heard).toEqual([{ type: "ack", revision, heldMs: expect.any(Number) }]);
  });
});

describe("LC-18, ST-21 replaced by another process with the same identity", () => {
  it("comes back without the resume token", () => {
    s.world.time.advance(6_000);
    s.peer().close(4409);
    s.world.time.advance(200);
    expect(s.peer().url.searchParams.has("resume")).toBe(false);
    expect(s.peer().url.searchParams.get("revision")).toBe("1");
  });
});

describe("LC-14, ST-64 the server's delay", () => {
  it("is obeyed when a fatal error announces it", () => {
    s.say({ type: "error", code: "overloaded", message: "busy", fatal: true, retryAfterMs: 8_000 });
    s.peer().close(4503);
    s.world.time.advance(7_900);
    expect(s.peers).toHaveLength(1);
    expect(status().counters.connections).toBe(1);
    s.world.time.advance(400);
    expect(s.peers).toHaveLength(2);
  });
});

describe("LC-17, ST-62, ST-31 goaway", () => {
  const goaway = { type: "goaway", reason: "shutdown", spreadMs: 3_000, deadlineMs: 8_000 };

  it("moves within the spread, listens to the old connection until the new one is welcomed, then drops its frames", () => {
    s.say(goaway);
    expect(status()).toMatchObject({ state: "leaving", transport: "stream" });
    s.world.time.advance(3_000);
    const [old, next] = s.peers;
    expect(status()).toMatchObject({ state: "moving", transport: "stream" });
    const patch = s.origin.put(booleanFlag("f0", { percent: 0 }));
    old?.send(JSON.stringify(patch));
    s.world.time.advance(5);
    expect(s.flags.isEnabled("f0", "u")).toBe(false);
    expect(next?.url.searchParams.get("revision")).toBe("1");
    const missing = s.origin.put(booleanFlag("f0"));
    s.welcome({ mode: "delta", reason: "behind" });
    expect(status().state).toBe("syncing");
    old?.send(JSON.stringify(missing));
    s.world.time.advance(5);
    expect(status().position?.revision).toBe(2);
    expect(s.world.network.open).toBe(2);
    s.say(missing);
    expect(status()).toMatchObject({ state: "live", position: { revision: 3 } });
    expect(s.world.network.open).toBe(1);
  });
});

describe("LC-52 staleness", () => {
  it("marks evaluations once the server was silent for staleAfterMs, and keeps the detail", () => {
    s.world.time.advance(30_000);
    s.world.network.server = {
      socket: (peer) => peer.fail("ECONNREFUSED"),
      request: (_r, answer) => answer({ kind: "failed", code: "E" }),
    };
    s.peer().close(1006);
    s.world.time.advance(29_000);
    expect(s.flags.evaluate("f0", "u")).toMatchObject({ reason: "SPLIT", detail: "fallthrough" });
    s.world.time.advance(32_000);
    const late = s.flags.evaluate("f0", "u");
    expect(late).toMatchObject({ reason: "STALE", detail: "fallthrough", variant: "on", revision: 1 });
    expect(late.ageMs).toBeGreaterThan(60_000);
    expect(status()).toMatchObject({ stale: true, transport: "none", source: "live" });
  });
});
