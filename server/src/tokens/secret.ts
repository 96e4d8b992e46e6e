import { createHmac, hash } from "node:crypto";
import { TOKEN_PATTERN, type TokenKind } from "@bunting/contracts";
import type { NewToken } from "../ledger/decision.ts";
import type { Random } from "../ports.ts";
import { crc32 } from "./crc-32.ts";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 71 bits. Public: names the token in logs and the audit. */
const ID_CHARACTERS = 12;
/** 256 bits. */
const SECRET_CHARACTERS = 43;
const CHECKSUM_CHARACTERS = 6;

/** Draws a token. The text exists in what this returns and nowhere else. */
export function createTokenText(kind: TokenKind, random: Random, pepper: string | null): NewToken {
  const id = base62(ID_CHARACTERS, random);
  const body = `bnt_${kind}_${id}_${base62(SECRET_CHARACTERS, random)}`;
  const text = body + checksumOf(body);
  return { id, text, digest: digestToken(text, pepper) };
}

/** The id a well-formed text names, or null. A typing error is found here, without looking anything up. */
export function readTokenId(text: string): string | null {
  const id = TOKEN_PATTERN.exec(text)?.[2];
  if (id === undefined) return null;
  return checksumOf(text.slice(0, -CHECKSUM_CHARACTERS)) === text.slice(-CHECKSUM_CHARACTERS) ? id : null;
}

/**
 * What is kept of a token: 32 bytes. A fast hash is enough, because there are 256 bits to guess; a slow one would only let
 * strangers keep the server busy. The pepper makes a stolen database useless even for checking a leaked token.
 */
export function digestToken(text: string, pepper: string | null): Uint8Array {
  if (pepper === null) return Buffer.from(hash("sha256", text, "hex"), "hex");
  return createHmac("sha256", pepper).update(text).digest();
}

/**
 * Uniform over the alphabet by rejection: 248 is the greatest multiple of 62 that a byte holds, so bytes above it are drawn
 * again. Taking them modulo 62 would make the first eight characters more likely than the rest.
 */
export function base62(count: number, random: Random): string {
  let text = "";
  while (text.length < count) {
    for (const byte of random.bytes(count)) {
      if (byte < 248 && text.length < count) text += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return text;
}

/** For typing errors and for scanners that look for leaked secrets; no protection. */
function checksumOf(body: string): string {
  let rest = crc32(Buffer.from(body, "utf8"));
  let text = "";
  for (let index = 0; index < CHECKSUM_CHARACTERS; index++) {
    text = ALPHABET.charAt(rest % ALPHABET.length) + text;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return text;
}
