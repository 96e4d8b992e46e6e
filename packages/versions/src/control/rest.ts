import type { Flags } from "@bunting/sdk";
import { VersionError } from "../errors.ts";
import type { SplitControl, TrafficSplit } from "../routing/source.ts";

export interface RestControlOptions {
  /** Address of the server. */
  readonly url: string;
  /** An admin token that may edit the flag. */
  readonly token: string;
  readonly environment: string;
  readonly flag: string;
  /** The SDK of this process: a change counts as done when it has arrived here too. */
  readonly flags: Pick<Flags, "status" | "on">;
  /** For each answer of the server, and for the change to arrive here. @default 5000 */
  readonly timeoutMs?: number | undefined;
  /** @default the global fetch */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/**
 * Changes the flag over the admin API, as a person would: every change is a revision, in the audit, pushed to every process
 * and with a receipt. Compare-and-set: who edits the flag at the same time is not overwritten.
 */
export function createRestControl(options: RestControlOptions): SplitControl {
  const { url, token, environment, flag, flags, timeoutMs = 5_000, fetch = globalThis.fetch } = options;
  const address = `${url.replace(/\/+$/, "")}/api/v1/environments/${environment}/flags/${flag}`;
  const ask = async (
    method: "GET" | "PATCH",
    more: { body?: string; headers?: Record<string, string> },
  ): Promise<Answer> => {
    let response: Response;
    let body: unknown;
    try {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...more.headers };
      response = await fetch(address, { method, ...more, headers, signal: AbortSignal.timeout(timeoutMs) });
      body = await response.json();
    } catch (error) {
      throw new VersionError("control_refused", `The server at ${url} did not answer.`, { cause: error });
    }
    if (!response.ok) throw refusal(body, response.status);
    return { configuration: body as Configuration, etag: response.headers.get("etag") ?? "*" };
  };
  const edit = async (patchOf: (configuration: Configuration) => object): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      const { configuration, etag } = await ask("GET", {});
      try {
        const body = JSON.stringify(patchOf(configuration));
        const changed = await ask("PATCH", { body, headers: { "if-match": etag } });
        return await arrived(flags, changed.configuration.position.revision, timeoutMs);
      } catch (error) {
        const isRace = error instanceof VersionError && error.message.includes("version_mismatch");
        if (!isRace || attempt === ATTEMPTS) throw error;
      }
    }
  };
  return {
    setSplit: (split) => edit(({ fallthrough }) => ({ fallthrough: { split: complete(split, fallthrough) } })),
    serve: (version) => edit(() => ({ fallthrough: { variant: version } })),
    pin: (entity, version) =>
      edit(({ pins }) => {
        const kept = Object.entries(pins).map(
          ([variant, keys]) => [variant, keys.filter((key) => key !== entity)] as const,
        );
        const changed: Record<string, readonly string[]> = Object.fromEntries(kept);
        if (version !== null) changed[version] = [...(changed[version] ?? []), entity];
        return { pins: changed };
      }),
  };
}

/** Somebody who edits a flag without a pause is stronger than this. */
const ATTEMPTS = 3;

interface Answer {
  readonly configuration: Configuration;
  readonly etag: string;
}

/** As much of a configuration as is used. */
interface Configuration {
  readonly fallthrough: { readonly variant: string } | { readonly split: TrafficSplit };
  readonly pins: Readonly<Record<string, readonly string[]>>;
  readonly position: { readonly revision: number };
}

/** A merge patch leaves variants that it does not name at their share. */
function complete(split: TrafficSplit, before: Configuration["fallthrough"]): TrafficSplit {
  const others = "split" in before ? Object.keys(before.split).map((name) => [name, 0] as const) : [];
  return { ...Object.fromEntries(others), ...split };
}

/** Until this process has the change too, or for as long as the server is given to answer: it is committed in either case. */
function arrived(flags: RestControlOptions["flags"], revision: number, timeoutMs: number): Promise<void> {
  const isHere = (): boolean => (flags.status().position?.revision ?? -1) >= revision;
  if (isHere()) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(finish, timeoutMs);
    timer.unref();
    const stop = flags.on("change", () => {
      if (isHere()) finish();
    });
  });
}

function refusal(body: unknown, status: number): VersionError {
  const { code = `http_${status}`, detail = "" } = (body ?? {}) as { code?: string; detail?: string };
  return new VersionError("control_refused", `The server refused the change (${code}): ${detail}`);
}
