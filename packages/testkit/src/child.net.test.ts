import { afterEach, describe, expect, it } from "vitest";
import { type Child, startChild } from "./child.ts";
import { eventually } from "./eventually.ts";

const children: Child[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) await child.end("SIGKILL");
});

describe("a process of a test", { timeout: 60_000 }, () => {
  it("is known by what it printed, before and after one asks", async () => {
    const child = await run(
      "console.log('port 4242'); setTimeout(() => console.error('late'), 50); setInterval(() => {}, 1000)",
    );
    expect((await child.printed(/port (\d+)/, 20_000))[1]).toBe("4242");
    expect((await child.printed(/port (\d+)/, 20_000))[1]).toBe("4242");
    await child.printed(/late/, 20_000);
    expect(child.isRunning).toBe(true);
  });

  it("says at once that it ended, with its output, to who waits for more", async () => {
    const child = await run("console.error('port taken'); process.exit(3)");
    await expect(child.printed(/ready/, 20_000)).rejects.toThrow(/ended[\s\S]*port taken/);
    expect(await child.exited).toEqual({ code: 3, signal: null });
    expect(child.isRunning).toBe(false);
  });

  it("can be killed, and killing it twice is no error", async () => {
    const child = await run("setInterval(() => {}, 1000)");
    expect(await child.end("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
    expect(await child.end("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
  });

  it("dies with the process that started it, even if that is killed", async () => {
    const module = JSON.stringify(new URL("./child.ts", import.meta.url).href);
    const parent = await run(
      `import(${module}).then(async ({ startChild }) => {
        const child = await startChild({ command: process.execPath, args: ["-e", "setInterval(() => {}, 1000)"] });
        console.log("child", child.pid);
      })`,
      "--import",
      "tsx",
    );
    const pid = Number((await parent.printed(/child (\d+)/, 20_000))[1]);
    expect(isAlive(pid)).toBe(true);
    await parent.end("SIGKILL");
    await eventually(() => !isAlive(pid), { what: "the child of the killed process to die" });
  });

  it("is refused if there is no such program", async () => {
    await expect(startChild({ command: "no-such-program", args: [] })).rejects.toMatchObject({ code: "ENOENT" });
  });
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function run(program: string, ...options: string[]): Promise<Child> {
  const child = await startChild({ command: process.execPath, args: [...options, "-e", program] });
  children.push(child);
  return child;
}
