import { afterEach, describe, expect, it } from "vitest";
import { type Child, startChild } from "./child.ts";

const children: Child[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) await child.end("SIGKILL");
});

describe("a process of a test", () => {
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

  it("is refused if there is no such program", async () => {
    await expect(startChild({ command: "no-such-program", args: [] })).rejects.toMatchObject({ code: "ENOENT" });
  });
});

async function run(program: string): Promise<Child> {
  const child = await startChild({ command: process.execPath, args: ["-e", program] });
  children.push(child);
  return child;
}
