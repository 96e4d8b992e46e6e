import type { EnvironmentKey, Position } from "@bunting/contracts";
import type { Accepted, Command, StoredResponse } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { State } from "../ledger/state.ts";
import type { Answer, Refused, RouteRequest } from "./route.ts";

/** The answer to a carried-out command, before anything that is only known later (a receipt) is added. */
export interface Made {
  readonly status: number;
  readonly body: object;
  readonly headers: Readonly<Record<string, string>>;
}

export type Carried =
  | { readonly ok: false; readonly refused: Refused }
  /** `accepted` is absent where an earlier answer is repeated. */
  | { readonly ok: true; readonly made: Made; readonly accepted?: Accepted };

/**
 * Carries a command out. `make` is pure and says what the caller is told: with an Idempotency-Key it is called inside the
 * transaction too, and what it returned is stored there, so that a crash between commit and reply loses no answer.
 */
export function carryOut(
  ledger: Pick<Ledger, "execute">,
  request: Pick<RouteRequest<unknown, unknown, unknown>, "actor" | "repeatable">,
  command: Command,
  make: (accepted: Accepted) => Made,
): Carried {
  const outcome = ledger.execute(
    command,
    request.actor,
    request.repeatable?.((accepted) => toStored(make(accepted))),
  );
  if (!outcome.ok) return { ok: false, refused: { refusal: outcome.refusal } };
  if (outcome.replayed) return { ok: true, made: fromStored(outcome.replayed) };
  return { ok: true, made: make(outcome), accepted: outcome };
}

/** For commands whose answer is complete at once. */
export function answer(carried: Carried): Answer | Refused {
  return carried.ok ? carried.made : carried.refused;
}

export function positionOf(state: State, environment: EnvironmentKey): Position {
  return { epoch: state.epoch, revision: state.environments.get(environment)?.revision ?? 0 };
}

/**
 * `Bunting-Position`. Below an environment it is that environment's position; a change of several names each of them; one that
 * changed no ruleset reached none, and the header is left out.
 */
export function positionHeader(accepted: Accepted, environment?: EnvironmentKey): Record<string, string> {
  if (environment !== undefined) {
    const { epoch, revision } = positionOf(accepted.state, environment);
    return { "Bunting-Position": `${epoch}:${revision}` };
  }
  const positions = accepted.commits.map(
    (commit) => `${commit.epoch}:${commit.revision};environment=${commit.environment}`,
  );
  return positions.length === 0 ? {} : { "Bunting-Position": positions.join(", ") };
}

const toStored = ({ status, body, headers }: Made): StoredResponse => ({ status, body: JSON.stringify(body), headers });

function fromStored({ status, body, headers }: StoredResponse): Made {
  return { status, body: JSON.parse(body) as object, headers: { ...headers, "Idempotency-Replayed": "true" } };
}
