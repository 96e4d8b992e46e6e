import { timingSafeEqual } from "node:crypto";
import { LIMITS } from "@bunting/contracts/literals";
import type { Actor, Refusal } from "../ledger/command.ts";
import type { State, StoredToken } from "../ledger/state.ts";
import { toInstant } from "../platform/instant.ts";
import type { Clock } from "../ports.ts";
import { FailureLimit } from "./failure-limit.ts";
import { isLive } from "./lifetime.ts";
import { digestToken, readTokenId } from "./secret.ts";

export interface AuthenticatorPorts {
  readonly clock: Clock;
  /** `BUNTING_TOKEN_PEPPER`, or null. */
  readonly pepper: string | null;
  /** The state of this moment: a token revoked a microsecond ago is refused. */
  readonly state: () => State;
  /** Remembers that a token was used. */
  readonly touch: (id: string, now: number) => void;
}

export type Authentication =
  | { readonly ok: true; readonly actor: Actor; readonly token: StoredToken }
  | { readonly ok: false; readonly refusal: Refusal; readonly retryAfterMs: number | null };

/** Compared with when no token has the id, so that an unknown id takes as long as a wrong secret. */
const NOBODY = new Uint8Array(32);

/**
 * Turns the text of a token into an actor. Whether it was malformed, unknown, wrong, expired or revoked is not said and not
 * measurable; each costs one hash and one comparison in constant time.
 */
export class Authenticator {
  readonly #ports: AuthenticatorPorts;
  readonly #byAddress: FailureLimit;
  readonly #byToken: FailureLimit;

  constructor(ports: AuthenticatorPorts) {
    this.#ports = ports;
    this.#byAddress = new FailureLimit(ports.clock, LIMITS.failedAuthenticationsPerAddressPerMinute);
    this.#byToken = new FailureLimit(ports.clock, LIMITS.failedAuthenticationsPerTokenPerMinute);
  }

  /**
   * `text`: what stands behind `Bearer `, or null if there was nothing. `address`: the client's, in one canonical form.
   * Answers `unauthenticated`, or `too_many_failures` with the time to wait.
   *
   * A live token passes whatever was tried before: a stranger who knows an id, or shares an address, cannot lock its owner
   * out. The limits hold back only those who fail.
   */
  authenticate(text: string | null, address: string, requestId: string): Authentication {
    const id = text === null ? null : readTokenId(text);
    const token = id === null ? undefined : this.#ports.state().tokens.get(id);
    const matches = timingSafeEqual(digestToken(text ?? "", this.#ports.pepper), token?.digest ?? NOBODY);
    const now = this.#ports.clock.now();
    if (!token || !matches || !isLive(token, toInstant(now))) return this.#refuse(id, address);

    this.#ports.touch(token.id, now);
    return { ok: true, token, actor: actorOf(token, requestId) };
  }

  #refuse(id: string | null, address: string): Authentication {
    const waitMs = Math.max(this.#byAddress.waitMs(address), id === null ? 0 : this.#byToken.waitMs(id));
    this.#byAddress.record(address);
    if (id !== null) this.#byToken.record(id);
    if (waitMs > 0) {
      const detail = `Try again in ${Math.ceil(waitMs / 1000)} s.`;
      return { ok: false, refusal: { code: "too_many_failures", detail }, retryAfterMs: waitMs };
    }
    const detail = "Send a live token as `Authorization: Bearer <token>`.";
    return { ok: false, refusal: { code: "unauthenticated", detail }, retryAfterMs: null };
  }
}

function actorOf(token: StoredToken, requestId: string): Actor {
  const { id, kind, name, environments, roles } = token;
  return { token: id, kind, name, environments, roles, requestId };
}
