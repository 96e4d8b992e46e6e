import pino from "pino";
import type { Logger } from "../ports.ts";
import { maskTokens } from "../tokens/mask.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const LONGEST_TEXT = 1024;

/** Characters that change how the text around them is shown: in a terminal they could make a line say something else. */
const BIDIRECTIONAL = /[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * One JSON line per event. JSON escapes control characters, so no value can begin a line of its own.
 *
 * @param write receives each line, newline included
 */
export function createLogger(level: LogLevel, write: (line: string) => void): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: shorten },
      serializers: { error: pino.stdSerializers.err },
      depthLimit: 4,
      edgeLimit: 32,
    },
    { write: (line: string) => write(clean(line)) },
  );
}

function clean(line: string): string {
  // Nothing of ours logs a token; this is the second net.
  return maskTokens(line).replaceAll(
    BIDIRECTIONAL,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function shorten(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) =>
      typeof value === "string" && value.length > LONGEST_TEXT
        ? [name, `${value.slice(0, LONGEST_TEXT)}…`]
        : [name, value],
    ),
  );
}

/** A log line as a person reads it: `03:04:05 info  listening  url=http://127.0.0.1:4242`. What is no log line stays as it is. */
export function forPeople(line: string): string {
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line;
  }
  const { time, level, msg, ...fields } = event;
  const texts = Object.entries(fields).map(([name, value]) => `${name}=${textOf(value)}`);
  return `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${[String(msg), ...texts].join("  ")}\n`;
}

function textOf(value: unknown): string {
  if (value !== null && typeof value === "object" && "stack" in value) return String(value.stack);
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value) ? value : JSON.stringify(value);
}
