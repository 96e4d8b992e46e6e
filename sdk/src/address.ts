import type { Position } from "./types.ts";

/** Who asks. `boot` changes with each process start, and once more if the server lost its history. */
export interface Identity {
  readonly instance: string;
  readonly boot: string;
  readonly sdk: string;
}

interface StreamRequest extends Identity {
  readonly position: Position | null;
  readonly resume: string | null;
}

/** Built anew for each try: position and resume token are those of that moment. The token is never part of it. */
export function streamUrl(origin: string, request: StreamRequest): string {
  const query = new URLSearchParams({ instance: request.instance, boot: request.boot, sdk: request.sdk });
  if (request.position !== null) {
    query.set("epoch", request.position.epoch);
    query.set("revision", `${request.position.revision}`);
  }
  if (request.resume !== null) query.set("resume", request.resume);
  return `${origin.replace(/^http/, "ws")}/sdk/v1/stream?${query.toString()}`;
}

export function rulesetUrl(origin: string, { instance, boot, sdk }: Identity, waitMs: number): string {
  const query = new URLSearchParams({ waitMs: `${waitMs}`, instance, boot, sdk });
  return `${origin}/sdk/v1/ruleset?${query.toString()}`;
}

export function telemetryUrl(origin: string): string {
  return `${origin}/sdk/v1/telemetry`;
}
