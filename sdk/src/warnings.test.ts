import { booleanFlag, createOrigin, createSdkWorld, NO_SERVER, type SdkWorld } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "./create-flags.ts";
import type { FlagsOptions } from "./options.ts";
import type { Flags } from "./types.ts";
import { createWarnings } from "./warnings.ts";

const HOUR_MS = 60 * 60_000;

function start(world: SdkWorld, options: FlagsOptions = {}): Flags {
  return createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: false, ...options });
}

const createWorld = (): SdkWorld => createSdkWorld(5, createOrigin([booleanFlag("redis"), booleanFlag("other")]));

/** Refuses whatever is asked. */
function refuse(world: SdkWorld, status: number): void {
  world.network.server = {
    socket: (peer) => peer.refuse(status),
    request: (_asked, done) => done({ kind: "answered", status, headers: new Map(), body: "" }),
  };
}

describe("LC-72 what somebody has to mend is said in one line", () => {
  it("a token that the server refuses, once an hour however often it is tried", () => {
    const world = createWorld();
    refuse(world, 401);
    start(world);
    world.time.advance(HOUR_MS - 1_000);
    expect(world.warnings).toEqual([
      "Bunting: no word from https://flags.test: the server refused the poll with HTTP 401 (is the token right, and was it revoked?); the defaults in the code decide. It is tried again.",
    ]);
    world.time.advance(HOUR_MS);
    expect(world.warnings).toHaveLength(2);
  });

  it("a token that is revoked while it is in use, at once", () => {
    const world = createWorld();
    const node = world.serve();
    start(world);
    world.time.advance(10_000);
    refuse(world, 401);
    for (const connection of node.connections) connection.close(4401);
    world.time.advance(100);
    expect(world.warnings).toEqual([expect.stringContaining("HTTP 401")]);
    expect(world.warnings).toEqual([expect.stringContaining("the last state it sent decides")]);
  });

  it("a server that was never reached at once, one that was lost only when the state is stale", () => {
    const unreached = createWorld();
    unreached.network.server = NO_SERVER;
    start(unreached);
    unreached.time.advance(1_000);
    expect(unreached.warnings).toEqual([expect.stringContaining("ECONNREFUSED; the defaults in the code decide")]);

    const lost = createWorld();
    const node = lost.serve();
    start(lost, { staleAfterMs: 60_000 });
    lost.time.advance(10_000);
    lost.network.server = NO_SERVER;
    for (const connection of node.connections) connection.close(1006);
    lost.time.advance(45_000);
    expect(lost.warnings).toEqual([]);
    lost.time.advance(60_000);
    expect(lost.warnings).toHaveLength(1);
  });

  it("nothing where polling works, though sockets are refused", () => {
    const world = createWorld();
    const node = world.serve();
    world.network.server = { ...world.leadTo(node), socket: (peer) => peer.refuse(403) };
    const flags = start(world);
    world.time.advance(HOUR_MS);
    expect(flags.status().transport).toBe("poll");
    expect(world.warnings).toEqual([]);
  });

  it("overrides that are none, from the environment and from the file", () => {
    const world = createWorld();
    world.environment.BUNTING_FLAG_REDIS = "may\nbe";
    world.files.contents.set("/o.json", "not json");
    world.serve();
    const flags = start(world, { overrideFile: "/o.json" });
    world.time.advance(1_000);
    for (let change = 0; change < 10; change += 1) {
      world.origin.put(booleanFlag("other", { salt: change }));
      flags.isEnabled("redis", "u");
      world.time.advance(1_000);
    }
    expect(world.warnings).toEqual([
      expect.stringContaining("Bunting: override file: not a JSON object"),
      'Bunting: override of "redis" in BUNTING_FLAG_REDIS is ignored: "may be" is none of on, off',
    ]);
  });

  it("a bootstrap object that is none", () => {
    const world = createWorld();
    start(world, { url: undefined, token: undefined, bootstrap: { flags: 1 } });
    expect(world.warnings).toEqual([expect.stringContaining("bootstrap: not a ruleset")]);
  });

  it("to whom `warn` says, and to nobody if that is false; what it throws stops nothing", () => {
    const world = createWorld();
    refuse(world, 401);
    const own: string[] = [];
    start(world, { warn: false });
    start(world, { warn: (line) => own.push(line) });
    const failing = start(world, {
      warn() {
        throw new Error("the log is full");
      },
    });
    world.time.advance(10_000);
    expect(own).toHaveLength(1);
    expect(world.warnings).toEqual([]);
    expect(failing.status()).toMatchObject({ state: "waiting", lastError: { code: "http_401" } });
  });

  it("no more than 20 different ones an hour", () => {
    const world = createWorld();
    const lines: string[] = [];
    const warnings = createWarnings((line) => lines.push(line), world.time.clock);
    for (let problem = 0; problem < 1_000; problem += 1) warnings.tell(`${problem}`, `problem ${problem}`);
    expect(lines).toHaveLength(20);
    world.time.advance(HOUR_MS);
    warnings.tell("20", "problem 20");
    expect(lines.at(-1)).toBe("Bunting: problem 20");
  });
});
