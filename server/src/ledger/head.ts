import { existsSync, readFileSync } from "node:fs";
import type { ChainHead } from "../audit/chain.ts";
import { replaceFile } from "../store/durable-file.ts";
import type { State } from "./state.ts";

/**
 * How far the history had come, kept beside the database in a file of its own. A database that is behind it, or differs at
 * the same revision, was replaced by an older one.
 */
export interface Head {
  readonly format: 1;
  readonly epoch: string;
  readonly environments: Readonly<Record<string, { readonly revision: number; readonly checksum: string }>>;
  readonly audit: ChainHead;
}

export function headOf(state: State, audit: ChainHead): Head {
  return {
    format: 1,
    epoch: state.epoch,
    environments: Object.fromEntries(
      [...state.environments].map(([key, { revision, checksum }]) => [key, { revision, checksum }]),
    ),
    audit,
  };
}

/** `null`: there is none. */
export function readHead(file: string): Head | "unreadable" | null {
  if (!existsSync(file)) return null;
  try {
    const head = JSON.parse(readFileSync(file, "utf8")) as Partial<Head> | null;
    const whole = head?.format === 1 && typeof head.epoch === "string" && head.environments && head.audit;
    return whole ? (head as Head) : "unreadable";
  } catch {
    return "unreadable";
  }
}

export function writeHead(file: string, head: Head): void {
  replaceFile(file, `${JSON.stringify(head, null, 2)}\n`);
}
