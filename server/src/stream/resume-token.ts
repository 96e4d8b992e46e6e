import { createHmac, timingSafeEqual } from "node:crypto";

/** What a resume token says. It is bound to the token that opened the session, and worth nothing without it. */
export interface ResumeClaim {
  readonly session: string;
  readonly environment: string;
  /** Id of the access token. */
  readonly token: string;
  /** Unix ms. */
  readonly expiresAt: number;
}

/** `<claim>.<HMAC-SHA-256 of it>`, both base64url: any process with the key can check it, none has to remember it. */
export function signResumeToken(claim: ResumeClaim, key: Uint8Array): string {
  const content = Buffer.from(
    JSON.stringify([claim.session, claim.environment, claim.token, claim.expiresAt]),
    "utf8",
  ).toString("base64url");
  return `${content}.${sign(content, key).toString("base64url")}`;
}

/** The session to continue, or null if the token is forged, damaged, expired, or somebody else's. */
export function readResumeToken(
  text: string,
  expected: { readonly environment: string; readonly token: string; readonly now: number },
  key: Uint8Array,
): string | null {
  const [content, signature, ...rest] = text.split(".");
  if (content === undefined || signature === undefined || rest.length > 0) return null;
  const given = Buffer.from(signature, "base64url");
  const right = sign(content, key);
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
  // From here on it is our own text.
  const [session, environment, token, expiresAt] = JSON.parse(Buffer.from(content, "base64url").toString("utf8")) as [
    string,
    string,
    string,
    number,
  ];
  const valid = environment === expected.environment && token === expected.token && expiresAt > expected.now;
  return valid ? session : null;
}

function sign(content: string, key: Uint8Array): Buffer {
  return createHmac("sha256", key).update(content).digest();
}
