import {
  booleanFlag,
  createMemoryFiles,
  createOrigin,
  createSdkWorld,
  NO_SERVER,
  type SdkWorld,
} from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "../create-flags.ts";
import type { FlagsOptions } from "../options.ts";
import type { Flags } from "../types.ts";
import { parseCache, renderCache } from "./file.ts";

const files = createMemoryFiles();
const origin = createOrigin([booleanFlag("redis"), booleanFlag("other")]);
const state = { ruleset: origin.ruleset, left: ["epoch-0"], savedAt: 1_000 };
const text = renderCache(state, "scope", files);

describe("LC-43 whatever is not exactly a cache file is a miss", () => {
  it("reads what it wrote", () => {
    expect(parseCache(text, "scope", files)).toEqual(state);
  });

  it("misses a file that was cut at any place", () => {
    for (let length = 0; length < text.length; length += 1) {
      expect(parseCache(text.slice(0, length), "scope", files), `cut at ${length}`).toBeNull();
    }
  });

  it("misses a file in which any one character differs", () => {
    for (let place = 0; place < text.length; place += 1) {
      const other = text[place] === "0" ? "1" : "0";
      const altered = text.slice(0, place) + other + text.slice(place + 1);
      expect(parseCache(altered, "scope", files), `altered at ${place}`).toBeNull();
    }
  });

  it.each(["\n", " ", "x", text])("misses a file with something behind it", (tail) => {
    expect(parseCache(text + tail, "scope", files)).toBeNull();
  });

  it("misses a file of another scope, or of a newer format", () => {
    expect(parseCache(text, "another", files)).toBeNull();
    expect(parseCache(text.replace("bunting-cache-1", "bunting-cache-2"), "scope", files)).toBeNull();
  });

  it.each(["", "\n", "\n\n", "{}\n{}\n", "null\nnull\n", "\0\0\0\0"])("misses %j", (broken) => {
    expect(parseCache(broken, "scope", files)).toBeNull();
  });
});

const FILE = "/cache/flags.json";
const start = (world: SdkWorld, options: FlagsOptions = {}): Flags =>
  createFlagsOn(world.platform, { url: "https://flags.test", token: "t", cacheFile: FILE, ...options });

/** What the process before left behind. */
async function cacheOf(percent: number, token = "t"): Promise<string> {
  const world = createSdkWorld(1, createOrigin([booleanFlag("redis", { percent })]));
  world.serve();
  const flags = start(world, { token });
  world.time.advance(100);
  const closing = flags.close();
  await world.time.advanceAsync(100);
  await closing;
  return world.files.contents.get(FILE) ?? "";
}

describe("LC-40, LC-41 a new process starts from the file", () => {
  it("evaluates from it before anything else happened, says cached, and is stale until the network confirms it", async () => {
    const world = createSdkWorld();
    world.files.contents.set(FILE, await cacheOf(100));
    world.network.server = NO_SERVER;
    world.time.advance(5_000);
    const flags = start(world);
    expect(flags.isEnabled("redis", "u")).toBe(true);
    expect(flags.status()).toMatchObject({
      source: "cached",
      stale: true,
      position: { epoch: "epoch-1", revision: 1 },
    });
    expect(flags.evaluate("redis", "u")).toMatchObject({ reason: "STALE", revision: 1, ageMs: expect.any(Number) });
    const ready = flags.ready({ timeoutMs: 1_000 });
    world.time.advance(1_000);
    expect(await ready).toBe("cached");
  });

  it("resumes from its position", async () => {
    const world = createSdkWorld(1, createOrigin([booleanFlag("redis")]));
    world.files.contents.set(FILE, await cacheOf(100));
    world.serve();
    const flags = start(world);
    world.time.advance(100);
    expect(world.network.attempts[0]?.url.searchParams.get("revision")).toBe("1");
    expect(flags.status()).toMatchObject({ source: "live", state: "live", stale: false });
  });

  it("clamps an age that lies in the future", async () => {
    const world = createSdkWorld();
    world.files.contents.set(FILE, await cacheOf(100));
    world.time.jumpWallClock(-365 * 86_400_000);
    expect(start(world).evaluate("redis", "u").ageMs).toBe(0);
  });

  it("takes the bootstrap object where the file is a miss, or where it is further on in the same epoch", async () => {
    const cached = await cacheOf(100);
    const further = createOrigin([booleanFlag("redis")]);
    further.put(booleanFlag("redis", { percent: 0 }));
    const elsewhere = createOrigin([booleanFlag("redis")], "epoch-9");
    elsewhere.put(booleanFlag("redis", { percent: 0 }));
    const cases: [string | null, object, string][] = [
      [null, origin.ruleset, "bootstrap"],
      [cached.slice(0, -5), origin.ruleset, "bootstrap"],
      [cached, further.ruleset, "bootstrap"],
      [cached, origin.ruleset, "cached"],
      [cached, elsewhere.ruleset, "cached"],
      [cached, { nonsense: true }, "cached"],
      [null, { ...origin.ruleset, checksum: "000000000000" }, "defaults"],
    ];
    for (const [file, bootstrap, source] of cases) {
      const world = createSdkWorld();
      if (file !== null) world.files.contents.set(FILE, file);
      expect(start(world, { bootstrap }).status().source).toBe(source);
    }
  });

  it("is not fooled by the file of another token", async () => {
    const world = createSdkWorld();
    world.files.contents.set(FILE, await cacheOf(100, "another"));
    const { source, issues } = start(world).status();
    expect(source).toBe("defaults");
    expect(issues).toEqual([expect.stringContaining("cache file")]);
  });

  it("does not mind a file that cannot be read", () => {
    const world = createSdkWorld();
    world.platform.files.readNow = () => {
      throw new Error("EACCES: permission denied");
    };
    expect(start(world).status()).toMatchObject({ source: "defaults", issues: [expect.stringContaining("EACCES")] });
  });
});

describe("LC-31 epochs that were left outlive the process", () => {
  it("refuses one that the process before had left", async () => {
    const world = createSdkWorld(1, createOrigin([booleanFlag("redis")]));
    const node = world.serve();
    const first = start(world);
    world.time.advance(100);
    world.origin.rewriteHistory("epoch-2");
    node.reload();
    world.time.advance(30_000);
    expect(first.status().position?.epoch).toBe("epoch-2");
    const closing = first.close();
    await world.time.advanceAsync(3_000);
    await closing;

    const old = createSdkWorld(2, createOrigin([booleanFlag("redis", { percent: 0 })]));
    old.files.contents.set(FILE, world.files.contents.get(FILE) ?? "");
    old.serve();
    const second = start(old);
    old.time.advance(10_000);
    expect(second.status()).toMatchObject({ position: { epoch: "epoch-2" }, lastError: { code: "left_epoch" } });
    expect(second.isEnabled("redis", "u")).toBe(true);
  });
});

describe("writing", () => {
  it("happens at most once a second, and the last state is written at close", async () => {
    const world = createSdkWorld(1, createOrigin([booleanFlag("redis")]));
    world.serve();
    const flags = start(world);
    world.time.advance(1_100);
    const before = world.files.writes;
    for (let change = 0; change < 50; change += 1) {
      world.origin.put(booleanFlag("redis", { salt: change }));
      world.time.advance(10);
    }
    expect(world.files.writes - before).toBeLessThanOrEqual(1);
    const closing = flags.close();
    await world.time.advanceAsync(2_100);
    await closing;
    const scope = (JSON.parse((world.files.contents.get(FILE) ?? "").split("\n")[0] ?? "") as { scope: string }).scope;
    expect(parseCache(world.files.contents.get(FILE) ?? "", scope, files)?.ruleset.revision).toBe(51);
  });

  it("is of states: a kill that overtakes its revision changes none", () => {
    const world = createSdkWorld(1, createOrigin([booleanFlag("redis"), booleanFlag("other")]));
    const node = world.serve();
    const flags = start(world);
    world.time.advance(5_000);
    const before = world.files.writes;
    world.network.fate = (_from, text) => (text.includes('"patch"') ? "drop" : "deliver");
    world.origin.put(booleanFlag("other", { percent: 0 }));
    world.origin.kill("redis");
    world.time.advance(500);
    expect(flags.evaluate("redis", "u").detail).toBe("killed");
    world.time.advance(400);
    expect(world.files.writes).toBe(before);
    node.stop();
  });

  it("that fails is counted and stops nothing", () => {
    const world = createSdkWorld(1, createOrigin([booleanFlag("redis")]));
    world.files.failure = "ENOSPC";
    world.serve();
    const flags = start(world);
    world.time.advance(5_000);
    world.origin.put(booleanFlag("redis", { percent: 0 }));
    world.time.advance(5_000);
    expect(flags.isEnabled("redis", "u")).toBe(false);
    expect(flags.status().counters.cacheErrors).toBeGreaterThan(0);
  });
});
