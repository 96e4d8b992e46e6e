import { z } from "zod";
import { environmentKey, instant, text } from "./key.ts";
import { LIMITS, TOKEN_KINDS } from "./literals.ts";

/** `bnt_<kind>_<id, 12 base-62>_<secret, 43 base-62><checksum of all before, CRC-32 as 6 base-62>`. */
export const TOKEN_PATTERN: RegExp =
  /^bnt_(admin|operator|viewer|server|client)_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/;

export const tokenKind = z.enum(TOKEN_KINDS);
export type TokenKind = z.infer<typeof tokenKind>;

/** A token as it is shown: never the secret, which the server does not keep. */
export const token = z
  .object({
    /** Public: names the token in logs and the audit. */
    id: z.string(),
    kind: tokenKind,
    name: z.string(),
    /** `null`: all environments. A `server` or `client` token has exactly one. */
    environments: z.array(environmentKey).nullable(),
    /** What its holder may sign for: an approval may name roles. */
    roles: z.array(z.string()),
    createdAt: instant,
    createdBy: z.string(),
    expiresAt: instant.nullable(),
    revokedAt: instant.nullable(),
    /** Within a minute. */
    lastUsedAt: instant.nullable(),
  })
  .meta({ id: "Token" });
export type Token = z.infer<typeof token>;

export const tokenDraft = z
  .strictObject({
    kind: tokenKind,
    name: text(LIMITS.nameBytes).min(1),
    environments: z.array(environmentKey).min(1).max(LIMITS.environments).nullable().default(null),
    roles: z.array(text(LIMITS.nameBytes).min(1)).max(LIMITS.rolesPerToken).default([]),
    expiresAt: instant.nullable().default(null),
  })
  .meta({ id: "TokenDraft", example: { kind: "server", name: "checkout-service", environments: ["production"] } });
export type TokenDraft = z.infer<typeof tokenDraft>;

/** The only answer that ever holds the secret. */
export const createdToken = token.extend({ secret: z.string() }).meta({ id: "CreatedToken" });
export type CreatedToken = z.infer<typeof createdToken>;
