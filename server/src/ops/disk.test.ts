import { createFakeTime } from "@bunting/testkit";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { createTestLogger } from "../ledger/ledger-fixture.ts";
import { type DiskSpace, isLowOnSpace, watchDisk } from "./disk.ts";

const MINUTE_MS = 60_000;

function setUp(free: number) {
  const time = createFakeTime();
  const { logger, lines } = createTestLogger();
  const registry = new Registry();
  const disk = { space: { free, total: 1_000 } as DiskSpace | undefined };
  const watch = watchDisk({ read: () => disk.space, scheduler: time.scheduler, logger, registry });
  return { time, lines, registry, disk, watch };
}

describe("a volume that is low on space", () => {
  it.each([
    [100, false, false],
    [99, false, true],
    [119, true, true],
    [120, true, false],
    [0, false, true],
  ])("%i of 1000 free, low before: %s, is low: %s", (free, wasLow, expected) => {
    expect(isLowOnSpace({ free, total: 1_000 }, wasLow)).toBe(expected);
  });

  it("is warned of at the start", () => {
    const { watch, lines } = setUp(50);
    expect(watch.isLow).toBe(true);
    expect(lines).toMatchObject([{ level: "warn", fields: { code: "disk_low", free: 50, total: 1_000 } }]);
  });

  it("is warned of once, and so is the end of it", () => {
    const { time, lines, disk, watch } = setUp(500);
    expect(lines).toEqual([]);
    for (const free of [99, 98, 110, 90]) {
      disk.space = { free, total: 1_000 };
      time.advance(MINUTE_MS);
    }
    expect(watch.isLow).toBe(true);
    expect(lines.map(({ level }) => level)).toEqual(["warn"]);
    disk.space = { free: 300, total: 1_000 };
    time.advance(MINUTE_MS);
    expect(watch.isLow).toBe(false);
    expect(lines.map(({ level }) => level)).toEqual(["warn", "info"]);
  });

  it("stays what it was while nobody can tell", async () => {
    const { time, disk, watch, registry } = setUp(50);
    disk.space = undefined;
    time.advance(MINUTE_MS);
    expect(watch.isLow).toBe(true);
    expect(await registry.metrics()).toContain("bunting_disk_free_bytes Nan");
  });

  it("is measured, and looked at no more after the end", async () => {
    const { time, registry, watch, disk } = setUp(500);
    expect(await registry.metrics()).toMatch(/bunting_disk_free_bytes 500\n[\s\S]*bunting_disk_size_bytes 1000\n/);
    watch.stop();
    disk.space = { free: 1, total: 1_000 };
    time.advance(MINUTE_MS);
    expect(watch.isLow).toBe(false);
  });
});
