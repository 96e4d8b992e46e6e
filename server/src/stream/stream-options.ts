import { LIMITS, STREAM_TIMING } from "@bunting/contracts/literals";
import type { LogLimits } from "./change-log.ts";

/** What can be set of the stream. Whoever leaves something out gets the value the protocol names. */
export interface StreamOptions {
  /** @default 20,000 */
  readonly heartbeatMs: number;
  /** How long a session outlives its socket. @default 120,000 */
  readonly resumeTtlMs: number;
  /** How long a resume token names its session. @default 7 days */
  readonly resumeTokenMs: number;
  /** Connections written to before the event loop gets its turn: about 5 ms of work. @default 250 */
  readonly chunk: number;
  /** Ready frames kept for those who come back. @default 1,024 entries, 4 MiB, 10 minutes */
  readonly log: LogLimits;
  /** Entries of it that stay although everybody has them. @default 64 */
  readonly logMargin: number;
  /** A connection that could not be written to for this long is destroyed. @default 60,000 */
  readonly laggingMs: number;
  /** New streams are refused while the event loop is later than this. @default 250 */
  readonly lagLimitMs: number;
  /** @default 20,000 */
  readonly streamsPerToken: number;
  /** @default what the process may open, less 500 */
  readonly streamsPerProcess: number;
  /** How long a poller counts as an instance after its last request. @default 60,000 */
  readonly pollerTtlMs: number;
  /** How long after a close frame a socket is destroyed. @default 1,000 */
  readonly closeTimeoutMs: number;
}

export function resolveStreamOptions(given: Partial<StreamOptions>, streamsPerProcess: number): StreamOptions {
  return {
    heartbeatMs: STREAM_TIMING.heartbeatMs,
    resumeTtlMs: STREAM_TIMING.resumeTtlMs,
    resumeTokenMs: 7 * 24 * 60 * 60 * 1000,
    chunk: 250,
    log: { entries: 1_024, bytes: 4 * 1024 * 1024, ageMs: 10 * 60 * 1000 },
    logMargin: 64,
    laggingMs: 60_000,
    lagLimitMs: 250,
    streamsPerToken: LIMITS.streamsPerToken,
    streamsPerProcess,
    pollerTtlMs: 60_000,
    closeTimeoutMs: 1_000,
    ...given,
  };
}
