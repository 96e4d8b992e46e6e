import { type EnvironmentKey, type WebhookDraft, webhookDraft } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import { actor, createFlag, killOf, PRODUCTION, restoreOf, STAGING, World } from "../ledger/ledger-fixture.ts";

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(17));
});

const create = (draft: Partial<WebhookDraft> = {}): Command => ({
  type: "create_webhook",
  draft: webhookDraft.parse({ name: "releases", url: "https://hooks.example.com/canary-path", ...draft }),
});
const rotate = (overlapSeconds: number): Command => ({
  type: "rotate_webhook",
  name: "releases",
  draft: { overlapSeconds },
});
const test: Command = { type: "test_webhook", name: "releases" };

const codeOf = (command: Command, by = actor()): string => {
  const decided = world.decide(command, by);
  return decided.ok ? "ok" : decided.refusal.code;
};
const only = () => {
  const [webhook] = world.state.webhooks.values();
  if (!webhook) throw new Error("There is no webhook.");
  return webhook;
};

describe("a webhook", () => {
  it("NO-16 is kept with its address and secret sealed for its record, and shows the secret once", () => {
    const { decision } = world.do(create());
    expect(decision.secret).toMatch(/^bnt_webhook_[0-9A-Za-z]{43}$/);
    const { id, origin, sealedUrl, secrets } = only();
    expect(id).toMatch(/^[0-9A-Za-z]{12}$/);
    expect(origin).toBe("https://hooks.example.com");
    expect(sealedUrl).toContain(`webhook/${id}/url`);
    expect(secrets).toMatchObject([{ sealed: `sealed(55 characters for webhook/${id}/secret)`, endsAt: null }]);
    expect(JSON.stringify([decision.audit, only()])).not.toContain("canary-path");
    expect(JSON.stringify([decision.audit, only()])).not.toContain(decision.secret);
    expect(JSON.stringify(decision.audit)).not.toContain("sealed");
  });

  it("NO-16 shows no secret that the caller gave", () => {
    const { decision } = world.do(create({ secret: "canary-secret-of-the-caller" }));
    expect(decision.secret).toBeUndefined();
    expect(JSON.stringify([decision.audit, only()])).not.toContain("canary-secret");
  });

  it.each<[string, Partial<WebhookDraft>, string]>([
    ["to an address inside", { url: "https://169.254.169.254/latest" }, "outgoing_address_refused"],
    ["without https", { url: "http://hooks.example.com/" }, "outgoing_address_refused"],
    ["with a password in its address", { url: "https://a:b@hooks.example.com/" }, "outgoing_address_refused"],
    ["to a listed host at another port", { url: "http://receiver.internal:8081/" }, "outgoing_address_refused"],
    ["of an unknown environment", { environments: ["qa" as EnvironmentKey] }, "webhook_scope_invalid"],
    ["to a listed host", { url: "http://receiver.internal:8080/hook" }, "ok"],
  ])("NO-18 %s", (_, draft, code) => expect(codeOf(create(draft))).toBe(code));

  it("names no part of a refused address, which may be a secret", () => {
    const decided = world.decide(create({ url: "http://hooks.example.com/canary-path" }));
    expect(JSON.stringify(decided)).not.toContain("canary-path");
  });

  it("has a name of its own, and leaves it free when it is deleted", () => {
    world.do(create());
    expect(codeOf(create())).toBe("webhook_exists");
    world.do({ type: "delete_webhook", name: "releases" });
    expect(world.state.webhooks.size).toBe(0);
    expect(codeOf(create())).toBe("ok");
    expect(codeOf({ type: "delete_webhook", name: "releases" })).toBe("webhook_not_found");
  });

  it(`is one of ${LIMITS.webhooks} at most`, () => {
    for (let index = 0; index < LIMITS.webhooks; index++) world.do(create({ name: `hook-${index}` }));
    expect(codeOf(create())).toBe("limit_exceeded");
  });
});

describe("NO-17 who may", () => {
  it.each(["operator", "viewer", "server", "client", "system"] as const)("not a token of kind %s", (kind) => {
    for (const command of [create(), rotate(0), test, { type: "delete_webhook", name: "releases" } as const]) {
      expect(codeOf(command, actor(kind))).toBe("forbidden");
    }
  });

  it("an admin of an environment, there alone", () => {
    const limited = actor("admin", [PRODUCTION]);
    expect(codeOf(create({ environments: [PRODUCTION] }), limited)).toBe("ok");
    expect(codeOf(create({ environments: [PRODUCTION, STAGING] }), limited)).toBe("webhook_scope_invalid");
    expect(codeOf(create(), limited)).toBe("webhook_scope_invalid");
    world.do(create());
    for (const command of [rotate(0), test, { type: "delete_webhook", name: "releases" } as const]) {
      expect(codeOf(command, limited)).toBe("webhook_not_found");
    }
  });
});

describe("NO-15 a rotation", () => {
  it("lets the former secret sign until its overlap ends", () => {
    world.do(create());
    const [former] = only().secrets;
    const { decision } = world.do(rotate(3600));
    expect(decision.secret).toMatch(/^bnt_webhook_/);
    expect(only().secrets).toMatchObject([{ endsAt: null }, { ...former, endsAt: "2026-01-01T01:00:00.000Z" }]);
  });

  it("keeps two at most, and without an overlap one", () => {
    world.do(create());
    world.do(rotate(3600));
    world.do(rotate(3600));
    expect(only().secrets).toHaveLength(2);
    world.do(rotate(0));
    expect(only().secrets).toHaveLength(1);
  });
});

describe("NO-2 a test", () => {
  it("is told to the webhook that was asked for, and audited", () => {
    world.do(create());
    const { decision } = world.do(test);
    expect(decision.announcements).toMatchObject([{ notification: { kind: "webhook.test" }, to: ["releases"] }]);
    expect(decision.audit).toMatchObject([{ action: "test_webhook" }]);
  });

  it("is allowed once in ten seconds, and after a clock that went back", () => {
    world.do(create());
    world.do(test);
    world.now = "2026-01-01T00:00:09.999Z";
    expect(codeOf(test)).toBe("webhook_tested_recently");
    world.now = "2026-01-01T00:00:10.000Z";
    expect(codeOf(test)).toBe("ok");
    world.now = "2025-12-31T23:00:00.000Z";
    expect(codeOf(test)).toBe("ok");
  });
});

describe("NO-4 kill and restore", () => {
  it("are told, once for all flags that changed", () => {
    world.do(createFlag("a", { tags: ["burning"] }));
    world.do(createFlag("b", { tags: ["burning"] }));
    world.do(killOf("a"));
    const { decision } = world.do({
      type: "kill",
      environment: PRODUCTION,
      target: { tag: "burning" },
      reason: "it burns",
    });
    expect(decision.announcements).toMatchObject([
      { notification: { kind: "flag.killed", flags: ["b"], flagCount: 1, reason: "it burns" }, to: [] },
    ]);
    expect(world.do(restoreOf("a")).decision.announcements).toMatchObject([
      { notification: { kind: "flag.restored", flags: ["a"], by: "a admin" } },
    ]);
  });
});
