import type { EnvironmentKey } from "@bunting/contracts";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { actor, createTokenOf, PRODUCTION, STAGING, World } from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(8));
});

const newestId = (): string => {
  const id = [...world.state.tokens.keys()].at(-1);
  if (id === undefined) throw new Error("There is no token.");
  return id;
};

describe("creating a token", () => {
  it("gives the secret out once and keeps a digest", () => {
    const { decision, commits } = world.do(createTokenOf({ kind: "server", environments: [PRODUCTION] }));
    expect(decision.secret).toMatch(/^bnt_server_/);
    expect(commits).toEqual([]);
    const kept = JSON.stringify([decision.audit, [...world.state.tokens.values()]]);
    expect(kept).not.toContain(decision.secret);
    expect(kept).not.toContain(decision.secret?.split("_")[3]);
  });

  it.each([
    ["a server token without environment", { kind: "server" as const }, "token_scope_invalid"],
    [
      "a server token with two",
      { kind: "server" as const, environments: [PRODUCTION, STAGING] },
      "token_scope_invalid",
    ],
    ["a client token without environment", { kind: "client" as const }, "token_scope_invalid"],
    ["an unknown environment", { environments: ["moon" as EnvironmentKey] }, "token_scope_invalid"],
    ["an expiry in the past", { expiresAt: "2025-12-31T23:59:59Z" }, "invalid_request"],
    ["an expiry this very moment", { expiresAt: "2026-01-01T00:00:00Z" }, "invalid_request"],
  ])("refuses %s", (_, draft, code) => {
    expect(world.refusal(createTokenOf(draft)).code).toBe(code);
  });

  it("gives nobody more than they have", () => {
    const limited = actor("admin", [STAGING]);
    expect(world.refusal(createTokenOf({ environments: null }), limited).code).toBe("token_scope_invalid");
    expect(world.refusal(createTokenOf({ environments: [PRODUCTION] }), limited).code).toBe("token_scope_invalid");
    expect(world.refusal(createTokenOf({ environments: [STAGING] }), limited).code).toBeNull();
  });

  it("is not for an archived environment", () => {
    world.do({ type: "archive_environment", environment: STAGING });
    expect(world.refusal(createTokenOf({ environments: [STAGING] })).code).toBe("token_scope_invalid");
  });
});

describe("revoking a token", () => {
  it("ends its streams, and a second time changes nothing", () => {
    world.do(createTokenOf({}));
    const id = newestId();
    expect(world.do({ type: "revoke_token", id }).decision.closing).toEqual({ type: "token_revoked", token: id });
    expect(world.state.tokens.get(id)?.revokedAt).toBe(world.now);
    expect(world.do({ type: "revoke_token", id }).decision.edits).toEqual([]);
  });

  it("leaves the last living admin token of all environments, without which nobody could create another", () => {
    const admin = (more: Parameters<typeof createTokenOf>[0] = {}): string => {
      const { decision } = world.do(createTokenOf({ kind: "admin", environments: null, ...more }));
      return decision.audit[0]?.object.key ?? "";
    };
    const revoke = (id: string) => world.refusal({ type: "revoke_token", id }).code;
    const first = admin();
    admin({ environments: [PRODUCTION] });
    admin({ kind: "operator" });
    admin({ expiresAt: "2026-01-01T01:00:00Z" });
    expect(revoke(first)).toBeNull();
    world.now = "2026-01-01T02:00:00.000Z";
    expect(revoke(first)).toBe("last_admin_token");
    const second = admin();
    world.do({ type: "revoke_token", id: first });
    expect(revoke(second)).toBe("last_admin_token");
  });

  it("does not find what is not there, or not within the actor's environments", () => {
    world.do(createTokenOf({ environments: [PRODUCTION] }));
    expect(world.refusal({ type: "revoke_token", id: "none" }).code).toBe("token_not_found");
    expect(world.refusal({ type: "revoke_token", id: newestId() }, actor("admin", [STAGING])).code).toBe(
      "token_not_found",
    );
    expect(world.refusal({ type: "revoke_token", id: newestId() }, actor("admin", [PRODUCTION])).code).toBeNull();
  });
});
