import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createFlags } from "@bunting/sdk";
import { eventually, startServerProcess } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import { createFlag, sdkToken } from "./observed-client.ts";

describe("without a server", () => {
  it("starts a new process from the last known good file, and says so", { timeout: 90_000 }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-cache-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const cacheFile = path.join(folder, "flags.json");
    await createFlag(server, "kept", 100);
    const options = { url: server.url, token: sdkToken(server), cacheFile };
    const first = createFlags(options);
    expect(await first.ready()).toBe("live");
    await first.close();
    await server.kill();

    const second = createFlags(options);
    onTestFinished(() => second.close());

    expect(await second.ready({ timeoutMs: 200 })).toBe("cached");
    expect(second.isEnabled("kept", "u-1")).toBe(true);
    expect(second.evaluate("kept", "u-1")).toMatchObject({ value: true, reason: "STALE" });
    expect(second.status()).toMatchObject({ source: "cached", stale: true, transport: "none" });
  });

  it("kills a flag in a running process by the override file", { timeout: 90_000 }, async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-override-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const overrideFile = path.join(folder, "overrides.json");
    await createFlag(server, "burning", 100);
    const flags = createFlags({ url: server.url, token: sdkToken(server), cacheFile: false, overrideFile });
    onTestFinished(() => flags.close());
    await flags.ready();
    await server.kill();
    expect(flags.isEnabled("burning", "u-1")).toBe(true);

    await writeFile(`${overrideFile}.new`, JSON.stringify({ burning: "off" }));
    await rename(`${overrideFile}.new`, overrideFile);

    await eventually(() => !flags.isEnabled("burning", "u-1"), { withinMs: 5_000, what: "the override to be read" });
    expect(flags.evaluate("burning", "u-1")).toMatchObject({ detail: "override", variant: "off" });
    expect(flags.status().overrides).toEqual([{ flag: "burning", value: "off", from: "file" }]);
    await rm(overrideFile);
    await eventually(() => flags.isEnabled("burning", "u-1"), { withinMs: 5_000, what: "the override to end" });
  });
});
