import { mkdtemp, rm, writeFile } from "node:fs/promises";
import net, { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { freePort, startChild, startServerProcess } from "@bunting/testkit";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const OLD_NODE =
  "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'18.20.8'}});" +
  "Object.defineProperty(process,'version',{value:'v18.20.8'})";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "bunting-start-"));
  return () => rm(folder, { recursive: true, force: true });
});

/** Starts a server that must not come up; resolves with how it ended and what it said. */
async function fruitlessStart(env: NodeJS.ProcessEnv): Promise<{ code: number | null; said: string }> {
  const child = await startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", "server/src/main.ts"],
    env: { PATH: process.env.PATH, BUNTING_DATA_DIR: folder, BUNTING_PORT: String(await freePort()), ...env },
    cwd: root,
  });
  const { code } = await child.exited;
  return { code, said: child.output() };
}

describe("a start that cannot succeed says why, in a sentence, and what to do", () => {
  it.each(["start", "test", "demo"])("npm %s on a Node.js that is too old", async (command) => {
    const args = ["--import", OLD_NODE, "scripts/run.mjs", command];
    const child = await startChild({ command: process.execPath, args, env: { PATH: process.env.PATH }, cwd: root });
    expect((await child.exited).code).toBe(1);
    expect(child.output()).toBe("Bunting needs Node.js 20.19, 22.12 or newer; this is v18.20.8.\n");
  });

  it("a port that is taken", async () => {
    const other = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;

    const { code, said } = await fruitlessStart({ BUNTING_PORT: String(port) });

    expect(code).toBe(1);
    expect(said).toMatch(new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is taken\\..*BUNTING_PORT`));
    expect(said).not.toContain("    at ");
  });

  it("a data folder that cannot be written", async () => {
    const file = path.join(folder, "occupied");
    await writeFile(file, "");
    const { code, said } = await fruitlessStart({ BUNTING_DATA_DIR: path.join(file, "data") });
    expect(code).toBe(1);
    expect(said).toMatch(/cannot start\..*occupied\/data.*BUNTING_DATA_DIR/);
    expect(said).not.toContain("    at ");
  });

  it.runIf(process.platform === "linux")("a data folder where no folder can be made", async () => {
    const { code, said } = await fruitlessStart({ BUNTING_DATA_DIR: "/proc/bunting/data" });
    expect(code).toBe(1);
    expect(said).toMatch(/cannot start\..*\/proc\/bunting\/data.*BUNTING_DATA_DIR/);
  });

  it.each([
    ["that is no database", "this is not a database, but it is long enough to have a header".repeat(200)],
    ["without a single byte", ""],
  ])("a file %s", async (_, content) => {
    await writeFile(path.join(folder, "bunting.db"), content);
    const { code, said } = await fruitlessStart({});
    expect(code).toBe(1);
    expect(said).toMatch(/cannot start\..*bunting\.db/);
    expect(said).toMatch(/backup/);
    expect(said).not.toContain("    at ");
  });

  it("a data folder that another server has open", async () => {
    const server = await startServerProcess();
    onTestFinished(() => server.dispose());
    const { code, said } = await fruitlessStart({ BUNTING_DATA_DIR: server.dataFolder });
    expect(code).toBe(1);
    expect(said).toMatch(/cannot start\..*(another|other) (server|process)/i);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  });

  it("a setting that is wrong", async () => {
    const { code, said } = await fruitlessStart({ BUNTING_PORT: "http" });
    expect(code).toBe(2);
    expect(said).toMatch(/cannot start\..*BUNTING_PORT/);
  });
});
