import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

let server: ServerProcess;

describe("a real server in a process of its own", { timeout: 120_000 }, () => {
  beforeEach(async () => {
    server = await startServerProcess();
  }, 120_000);
  afterEach(() => server.dispose());

  it("is killed and comes back on the same port with the same data", async () => {
    const created = await server.request("POST", "/api/v1/flags", { key: "kept" });
    expect(created.status).toBe(201);
    const { pid, url } = server;
    expect(await server.kill()).toEqual({ code: null, signal: "SIGKILL" });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed");
    await server.restart();
    expect(server.pid).not.toBe(pid);
    expect(server.url).toBe(url);
    expect((await server.request("GET", "/api/v1/flags/kept")).status).toBe(200);
  });

  it("ends in good order when it is asked to", async () => {
    expect(await server.terminate()).toEqual({ code: 0, signal: null });
  });

  it("falls silent when it is suspended, and answers again when it is resumed", async () => {
    server.suspend();
    const asked = server.request("GET", "/api/v1/flags");
    const silence = AbortSignal.timeout(200);
    await expect(fetch(`${server.url}/healthz`, { signal: silence })).rejects.toThrow("timeout");
    server.resume();
    expect((await asked).status).toBe(200);
  });

  it("takes more of an environment at a restart", async () => {
    await server.restart({ BUNTING_PORT: "none" }).then(
      () => expect.unreachable("A server started with a port that is no number"),
      (error: Error) => expect(error.message).toMatch(/ended \(\d+\) before it was ready[\s\S]*BUNTING_PORT/),
    );
  });

  it("that cannot start says why at once", async () => {
    await server.kill();
    await writeFile(path.join(server.dataFolder, "a-file"), "");
    const notAFolder = path.join(server.dataFolder, "a-file");
    await expect(startServerProcess({ dataFolder: notAFolder })).rejects.toThrow(/before it was ready[\s\S]*a-file/);
  });
});
