import { describe, expect, it } from "vitest";
import { LIMITS, TOKEN_KINDS } from "./literals.ts";
import { createdToken, TOKEN_PATTERN, token, tokenDraft } from "./token.ts";

const id = "0".repeat(12);
const secret = "S".repeat(43);
const checksum = "C".repeat(6);

describe("the pattern of a token", () => {
  it.each(TOKEN_KINDS)("takes a %s token apart into kind, id, secret and checksum", (kind) => {
    expect(TOKEN_PATTERN.exec(`bnt_${kind}_${id}_${secret}${checksum}`)?.slice(1)).toEqual([
      kind,
      id,
      secret,
      checksum,
    ]);
  });

  it.each([
    ["another prefix", `bnx_admin_${id}_${secret}${checksum}`],
    ["another kind", `bnt_owner_${id}_${secret}${checksum}`],
    ["a short id", `bnt_admin_${id.slice(1)}_${secret}${checksum}`],
    ["a short secret", `bnt_admin_${id}_${secret.slice(1)}${checksum}`],
    ["something behind it", `bnt_admin_${id}_${secret}${checksum}0`],
    ["a line break behind it", `bnt_admin_${id}_${secret}${checksum}\n`],
    ["something before it", ` bnt_admin_${id}_${secret}${checksum}`],
    ["a character outside base 62", `bnt_admin_${id}_${secret.slice(1)}-${checksum}`],
    ["upper case", `BNT_ADMIN_${id}_${secret}${checksum}`],
  ])("refuses %s", (_, text) => {
    expect(TOKEN_PATTERN.test(text)).toBe(false);
  });

  it("has no token longer than the 128 characters that a header may hold", () => {
    const longest = TOKEN_KINDS.map((kind) => `bnt_${kind}_${id}_${secret}${checksum}`.length);
    expect(Math.max(...longest)).toBeLessThanOrEqual(128);
  });
});

describe("a new token", () => {
  it("is for all environments and does not expire, unless it says so", () => {
    expect(tokenDraft.parse({ kind: "viewer", name: "dashboard" })).toEqual({
      kind: "viewer",
      name: "dashboard",
      environments: null,
      roles: [],
      expiresAt: null,
    });
  });

  it.each<[string, unknown]>([
    ["no name", { kind: "viewer" }],
    ["an empty name", { kind: "viewer", name: "" }],
    ["too long a name", { kind: "viewer", name: "x".repeat(LIMITS.nameBytes + 1) }],
    ["an unknown kind", { kind: "root", name: "x" }],
    ["an empty list of environments", { kind: "viewer", name: "x", environments: [] }],
    ["an environment that is no key", { kind: "viewer", name: "x", environments: ["no key"] }],
    ["a date for an instant", { kind: "viewer", name: "x", expiresAt: "2026-01-02" }],
    ["a secret of the caller's choice", { kind: "viewer", name: "x", secret: "hunter2" }],
  ])("is refused with %s", (_, draft) => {
    expect(tokenDraft.safeParse(draft).success).toBe(false);
  });
});

it("a shown token has no place for a secret, except in the answer that creates it", () => {
  const shown = {
    id,
    kind: "server",
    name: "checkout",
    environments: ["production"],
    roles: ["SRE"],
    createdAt: "2026-01-02T03:04:05.678Z",
    createdBy: "first-run",
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  };
  expect(token.parse({ ...shown, secret: "s" })).toEqual(shown);
  expect(createdToken.parse({ ...shown, secret: "s" })).toEqual({ ...shown, secret: "s" });
  expect(createdToken.safeParse(shown).success).toBe(false);
});
