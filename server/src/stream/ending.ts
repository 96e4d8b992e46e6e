import { ERRORS, type ErrorCode } from "@bunting/contracts";

/** How and why the server ends a connection. The reason is a code of ours and never text from outside. */
export interface Ending {
  readonly code: number;
  readonly reason: string;
  /** Whether the session ends with it, or waits for the client to come back. */
  readonly endsSession: boolean;
  /** Destroyed without a close frame, which frees what the kernel still holds: the peer does not read anyway. */
  readonly abrupt: boolean;
}

const ending = (error: ErrorCode, how: Partial<Pick<Ending, "endsSession" | "abrupt">> = {}): Ending => {
  const { close } = ERRORS[error] as { readonly close?: number };
  if (close === undefined) throw new Error(`${error} has no close code.`);
  return { code: close, reason: error, endsSession: false, abrupt: false, ...how };
};

export const ENDINGS = {
  session_replaced: ending("session_replaced"),
  unauthenticated: ending("unauthenticated", { endsSession: true }),
  environment_archived: ending("environment_archived", { endsSession: true }),
  history_rewritten: ending("history_rewritten", { endsSession: true }),
  internal: ending("internal"),
  message_malformed: ending("message_malformed"),
  message_rate: ending("message_rate"),
  draining: ending("draining"),
  slow_consumer: ending("slow_consumer", { abrupt: true }),
  no_sign_of_life: ending("no_sign_of_life", { abrupt: true }),
} as const satisfies Partial<Record<ErrorCode, Ending>>;
