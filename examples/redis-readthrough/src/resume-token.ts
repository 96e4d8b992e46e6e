import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * What a player shows to come back after a dropped connection. It is signed, so that checking it needs neither the
 * database nor Redis: a look-up through the cache must not begin with a query.
 */
export interface ResumeTokens {
  issue(session: string, player: string): string;
  /** The player, if the token is genuine and belongs to this session. */
  verify(session: string, token: string): string | undefined;
}

export function createResumeTokens(secret: Buffer): ResumeTokens {
  const sign = (session: string, player: string): Buffer =>
    createHmac("sha256", secret)
      .update(JSON.stringify([session, player]))
      .digest();

  return {
    issue: (session, player) =>
      `${Buffer.from(player).toString("base64url")}.${sign(session, player).toString("base64url")}`,
    verify(session, token) {
      const [name = "", signature = ""] = token.split(".");
      const player = Buffer.from(name, "base64url").toString();
      const given = Buffer.from(signature, "base64url");
      const expected = sign(session, player);
      return given.length === expected.length && timingSafeEqual(given, expected) ? player : undefined;
    },
  };
}
