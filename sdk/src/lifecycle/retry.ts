import { STREAM_TIMING } from "@bunting/contracts/literals";

/** Why a connection or a request did not do what it was for. */
export type Failure =
  | { readonly kind: "refused"; readonly status: number; readonly retryAfterMs?: number }
  | { readonly kind: "closed"; readonly code: number; readonly retryAfterMs?: number }
  | { readonly kind: "network"; readonly code: string; readonly retryAfterMs?: number }
  /** Nothing heard for too long, or no welcome in time. */
  | { readonly kind: "silence"; readonly retryAfterMs?: number }
  /** Not a valid message, or not what was asked for. */
  | { readonly kind: "malformed"; readonly retryAfterMs?: number }
  /** The server speaks of an epoch that this process has left. */
  | { readonly kind: "left_epoch"; readonly retryAfterMs?: number };

export type Regime = "fast" | "slow";

/** What the delay before the next try depends on. `random` is in [0, 1). */
export interface Attempt {
  readonly failure: Failure;
  /** Tries that failed since the last minute of health. */
  readonly failed: number;
  /** How long the connection lived after its welcome; 0 if it never had one. */
  readonly livedMs: number;
  readonly random: number;
}

/** A server that asks for more patience than this is not believed: it may be a captive portal. */
const LONGEST_WAIT_MS = 60 * 60 * 1000;

const { backoffBaseMs, backoffCapMs, backoffResetMs, firstTryAfterMs, firstTryMs, slowRegimeMinMs, slowRegimeMaxMs } =
  STREAM_TIMING;

/** 4xx that may pass by themselves: a broken request may be a broken proxy, 408 and 429 say so. */
const PASSING_STATUS: ReadonlySet<number> = new Set([400, 408, 429]);

/** Which of the two rhythms the next try follows. No failure ends the tries. */
export function regimeOf(failure: Failure): Regime {
  if (failure.kind === "refused") {
    return failure.status >= 400 && failure.status < 500 && !PASSING_STATUS.has(failure.status) ? "slow" : "fast";
  }
  if (failure.kind === "closed")
    return failure.code >= 4400 && failure.code < 4500 && failure.code !== 4409 ? "slow" : "fast";
  return "fast";
}

/**
 * Full jitter (Marc Brooker, "Exponential Backoff And Jitter", 2015): the cap comes before the jitter, or a whole fleet
 * would meet at the cap.
 */
export function retryDelayMs(attempt: Attempt): number {
  const wait = Math.min(attempt.failure.retryAfterMs ?? 0, LONGEST_WAIT_MS);
  return wait + jitterMs(attempt);
}

/** A connection that had lived is tried again at once: most often the server or a proxy just restarted. */
export function isFirstTry({ failure, livedMs }: Attempt): boolean {
  if (livedMs < firstTryAfterMs || regimeOf(failure) === "slow" || failure.retryAfterMs !== undefined) return false;
  return !(failure.kind === "closed" && failure.code >= 4500 && failure.code < 4600);
}

/** How many failed tries count after this one. A first try is free; a minute of health forgives everything. */
export function failedAfter(attempt: Attempt): number {
  const before = attempt.livedMs >= backoffResetMs ? 0 : attempt.failed;
  return isFirstTry(attempt) ? before : Math.min(before + 1, 64);
}

function jitterMs(attempt: Attempt): number {
  if (regimeOf(attempt.failure) === "slow")
    return slowRegimeMinMs + attempt.random * (slowRegimeMaxMs - slowRegimeMinMs);
  if (isFirstTry(attempt)) return attempt.random * firstTryMs;
  const failed = attempt.livedMs >= backoffResetMs ? 0 : attempt.failed;
  return attempt.random * Math.min(backoffCapMs, backoffBaseMs * 2 ** failed);
}
