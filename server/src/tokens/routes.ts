import {
  createTokenRequest,
  createTokenResponse,
  pageQuery,
  selfResponse,
  type Token,
  tokenPage,
  token as tokenSchema,
} from "@bunting/contracts";
import { z } from "zod";
import { pageByKey } from "../http/cursor.ts";
import { CREATED_TOKEN, pageOf, SELF, TOKEN } from "../http/examples.ts";
import { answer, carryOut } from "../http/mutation.ts";
import { type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import type { Actor } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { State, StoredToken } from "../ledger/state.ts";
import { within } from "./permission.ts";

const tag = "tokens";

const ofToken = z.object({ token: z.string().regex(/^[0-9A-Za-z]{12}$/, "An id has 12 letters and digits.") });

export function tokenRoutes(router: Router, { ledger }: { ledger: Pick<Ledger, "state" | "execute"> }): void {
  router.add(
    {
      method: "get",
      path: "/api/v1/tokens",
      operationId: "listTokens",
      tag,
      summary: "List tokens",
      description: "By id, revoked ones included. Secrets are not among what the server keeps.",
      access: "read_tokens",
      query: pageQuery,
      success: { status: 200, description: "One page.", schema: tokenPage, example: pageOf(TOKEN) },
    },
    ({ actor, query }) => {
      const visible = [...ledger.state.tokens.values()].filter((token) => isVisible(actor, token));
      const paged = pageByKey(visible, ({ id }) => id, query);
      if (!paged.ok) return { refusal: paged.refusal };
      return { status: 200, body: { ...paged.page, items: paged.page.items.map(shown) } };
    },
  );

  router.add(
    {
      method: "post",
      path: "/api/v1/tokens",
      operationId: "createToken",
      tag,
      summary: "Create a token",
      description: "The answer holds the secret, and nothing else ever will: a repeated request does not get it again.",
      access: "create_token",
      body: { schema: createTokenRequest },
      repeatable: true,
      success: {
        status: 201,
        description: "The token with its secret.",
        schema: createTokenResponse,
        example: CREATED_TOKEN,
        headers: ["Location"],
      },
      errors: ["token_scope_invalid", "secret_shown_once", "limit_exceeded", ...STORAGE_ERRORS],
    },
    (request) => {
      const carried = carryOut(ledger, request, { type: "create_token", draft: request.body }, (accepted) => {
        const token = tokenOf(accepted.audit[0]?.object.key, accepted.state);
        return { status: 201, body: shown(token), headers: { Location: `/api/v1/tokens/${token.id}` } };
      });
      if (!carried.ok) return carried.refused;
      // Added outside of what is stored for a repetition, which the ledger refuses anyway.
      return { ...carried.made, body: { ...carried.made.body, secret: carried.accepted?.secret } };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/tokens/self",
      operationId: "getSelf",
      tag,
      summary: "Read what the own token is and may see",
      access: "read_self",
      success: { status: 200, description: "The token of this request.", schema: selfResponse, example: SELF },
    },
    ({ actor: { token: id, kind, name, environments, roles } }) => ({
      status: 200,
      body: { id, kind, name, environments, roles },
    }),
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/tokens/{token}",
      operationId: "getToken",
      tag,
      summary: "Read a token",
      access: "read_tokens",
      params: ofToken,
      success: { status: 200, description: "The token, without its secret.", schema: tokenSchema, example: TOKEN },
      errors: ["token_not_found"],
    },
    ({ actor, params }) => {
      const token = ledger.state.tokens.get(params.token);
      if (!token || !isVisible(actor, token)) return refused("token_not_found", `There is no token ${params.token}.`);
      return { status: 200, body: shown(token) };
    },
  );

  router.add(
    {
      method: "delete",
      path: "/api/v1/tokens/{token}",
      operationId: "revokeToken",
      tag,
      summary: "Revoke a token",
      description:
        "Its streams end within two seconds. Revoking twice changes nothing. The last admin token that covers every environment stays.",
      access: "revoke_token",
      params: ofToken,
      success: { status: 200, description: "The token, revoked.", schema: tokenSchema, example: TOKEN },
      errors: ["token_not_found", "last_admin_token", ...STORAGE_ERRORS],
    },
    (request) => {
      const id = request.params.token;
      return answer(
        carryOut(ledger, request, { type: "revoke_token", id }, ({ state }) => ({
          status: 200,
          body: shown(tokenOf(id, state)),
          headers: {},
        })),
      );
    },
  );
}

/** Tokens that reach beyond the caller's environments are not there for him. */
function isVisible(actor: Actor, token: StoredToken): boolean {
  return within(actor.environments, token.environments);
}

function shown({ digest: _digest, ...token }: StoredToken): Token {
  return token;
}

function tokenOf(id: string | undefined, state: State): StoredToken {
  const token = id === undefined ? undefined : state.tokens.get(id);
  if (!token) throw new Error("The ledger accepted a command of a token that is not in its state.");
  return token;
}
