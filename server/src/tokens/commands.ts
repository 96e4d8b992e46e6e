import type { Token } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import type { Command } from "../ledger/command.ts";
import { type Decided, NOTHING, refuse, type Situation } from "../ledger/decision.ts";
import type { StoredToken } from "../ledger/state.ts";
import { isBefore, isLive } from "./lifetime.ts";
import { within } from "./permission.ts";

type Create = Extract<Command, { type: "create_token" }>;
type Revoke = Extract<Command, { type: "revoke_token" }>;

export function createToken({ draft }: Create, { state, actor, now, newToken }: Situation): Decided {
  const { kind, name, environments, roles, expiresAt } = draft;
  const bound = kind === "server" || kind === "client";
  if (bound && environments?.length !== 1) {
    return refuseScope(`A ${kind} token has exactly one environment.`);
  }
  const missing = environments?.find((key) => state.environments.get(key)?.archivedAt !== null);
  if (missing !== undefined) return refuseScope(`There is no living environment ${missing}.`);
  if (!within(actor.environments, environments)) {
    return refuseScope(`This token covers ${actor.environments?.join(", ")} and cannot create one that covers more.`);
  }
  if (expiresAt !== null && !isBefore(now, expiresAt)) {
    const message = "The token would have expired already.";
    return refuse("invalid_request", message, [{ path: "/expiresAt", message }]);
  }
  if (state.tokens.size >= LIMITS.tokens) {
    return refuse("limit_exceeded", `At most ${LIMITS.tokens} tokens, revoked ones included.`);
  }

  const { id, text, digest } = newToken(kind);
  const token: StoredToken = {
    id,
    kind,
    name,
    environments: environments === null ? null : [...new Set(environments)],
    roles: [...new Set(roles)],
    createdAt: now,
    createdBy: actor.token,
    expiresAt,
    revokedAt: null,
    lastUsedAt: null,
    digest,
  };
  const object = tokenObject(id);
  return {
    ok: true,
    edits: [{ kind: "token", id, after: token }],
    audit: [{ action: "create_token", object, before: null, after: shown(token), reason: null }],
    secret: text,
  };
}

/** Ends the token and its streams. Revoking twice changes nothing. */
export function revokeToken({ id }: Revoke, { state, actor, now }: Situation): Decided {
  const before = state.tokens.get(id);
  if (!before || !within(actor.environments, before.environments)) {
    return refuse("token_not_found", `There is no token ${id}.`);
  }
  if (before.revokedAt !== null) return NOTHING;
  const others = [...state.tokens.values()].filter((token) => token.id !== id);
  if (isAdminOfAll(before, now) && !others.some((token) => isAdminOfAll(token, now))) {
    return refuse("last_admin_token", `${id} is the only admin token that covers every environment.`);
  }
  const after = { ...before, revokedAt: now };
  return {
    ok: true,
    edits: [{ kind: "token", id, after }],
    audit: [
      { action: "revoke_token", object: tokenObject(id), before: shown(before), after: shown(after), reason: null },
    ],
    closing: { type: "token_revoked", token: id },
  };
}

function isAdminOfAll(token: StoredToken, now: string): boolean {
  return token.kind === "admin" && token.environments === null && isLive(token, now);
}

/** The token without its digest. `lastUsedAt` is left out too: it moves outside of any audited change. */
function shown({ digest: _digest, lastUsedAt: _lastUsedAt, ...token }: StoredToken): Omit<Token, "lastUsedAt"> {
  return token;
}

const refuseScope = (message: string) => refuse("token_scope_invalid", message, [{ path: "/environments", message }]);

const tokenObject = (id: string) => ({ kind: "token", key: id, environment: null }) as const;
