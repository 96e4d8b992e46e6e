import { describe, expect, it } from "vitest";
import { createLogger, forPeople, type LogLevel } from "./log.ts";

function logged(write: (logger: ReturnType<typeof createLogger>) => void, level: LogLevel = "debug"): string[] {
  const lines: string[] = [];
  write(createLogger(level, (line) => lines.push(line)));
  return lines;
}

const TOKEN = `bnt_admin_${"a".repeat(12)}_${"S".repeat(49)}`;

describe("the log", () => {
  it("is one JSON line per event, fields beside a constant message", () => {
    const [line = ""] = logged((logger) => logger.info({ url: "http://x" }, "listening"));
    expect(JSON.parse(line)).toEqual({ level: "info", time: expect.any(String), url: "http://x", msg: "listening" });
    expect(line.endsWith("}\n")).toBe(true);
  });

  it("keeps to its level", () => {
    const all = (logger: ReturnType<typeof createLogger>): void => {
      for (const level of ["debug", "info", "warn", "error"] as const) logger[level]({}, level);
    };
    expect(logged(all, "warn")).toHaveLength(2);
    expect(logged(all, "silent")).toHaveLength(0);
  });

  it("gives the fields of a child to each of its lines", () => {
    const [line = ""] = logged((logger) => logger.child({ environment: "production" }).info({ a: 1 }, "x"));
    expect(JSON.parse(line)).toMatchObject({ environment: "production", a: 1 });
  });

  it("cannot be made to say something else by what a caller sends", () => {
    const hostile = 'x\n{"level":"info","msg":"all is well"}\u001b[2J\u202egnp.exe';
    const [line = "", ...more] = logged((logger) => logger.info({ name: hostile }, "request"));
    expect(more).toEqual([]);
    expect(line.indexOf("\n")).toBe(line.length - 1);
    expect(line).not.toContain("\u001b");
    expect(line).not.toContain("\u202e");
    expect((JSON.parse(line) as { name: string }).name).toBe(hostile);
  });

  it("masks a token, wherever it stands", () => {
    const lines = logged((logger) => {
      logger.info({ deep: { down: [TOKEN] } }, "x");
      logger.error({ error: new Error(`cannot use ${TOKEN}`) }, "x");
      logger.child({ token: TOKEN }).warn({}, "x");
    });
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      expect(line).not.toContain("SSSS");
      expect(line).toContain("bnt_***");
    }
  });

  it("cuts long texts and survives deep and circular values", () => {
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    let deep: unknown = 1;
    for (let level = 0; level < 5_000; level++) deep = [deep];
    const lines = logged((logger) => {
      logger.info({ text: "x".repeat(1_000_000) }, "long");
      logger.info({ circular }, "circular");
      logger.info({ deep }, "deep");
    });
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line.length).toBeLessThan(2_000);
  });

  it("shows an error with its stack", () => {
    const [line = ""] = logged((logger) => logger.error({ error: new TypeError("broken") }, "request failed"));
    expect(JSON.parse(line)).toMatchObject({
      error: { type: "TypeError", message: "broken", stack: expect.any(String) },
    });
  });
});

describe("on a terminal", () => {
  it("is a line for people", () => {
    const line =
      '{"level":"info","time":"2026-11-20T03:04:05.678Z","url":"http://x","note":"two words","msg":"listening"}\n';
    expect(forPeople(line)).toBe('03:04:05 info  listening  url=http://x  note="two words"\n');
  });

  it("leaves alone what is no log line, and prints no control characters", () => {
    expect(forPeople("hello\n")).toBe("hello\n");
    const [line = ""] = logged((logger) => logger.info({ name: "\u001b[2J" }, "x"));
    expect(forPeople(line)).not.toContain("\u001b");
  });
});
