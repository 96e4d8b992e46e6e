import { createFakeTime, createSeededRandom, type FakeTime } from "@bunting/testkit";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { createTokenOf, PRODUCTION, World } from "../ledger/ledger-fixture.ts";
import { fromInstant } from "../platform/instant.ts";
import { Authenticator } from "./authenticator.ts";
import { createTokenText } from "./secret.ts";

const compared = vi.hoisted(() => ({ count: 0 }));
vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return {
    ...crypto,
    timingSafeEqual: (a: Uint8Array, b: Uint8Array) => {
      compared.count++;
      return crypto.timingSafeEqual(a, b);
    },
  };
});

const random = createSeededRandom(7);
let world: World;
let time: FakeTime;
let touched: string[];
let authenticator: Authenticator;

beforeEach(() => {
  world = new World(random);
  time = createFakeTime(fromInstant(world.now));
  touched = [];
  compared.count = 0;
  authenticator = new Authenticator({
    clock: time.clock,
    pepper: null,
    state: () => world.state,
    touch: (id) => void touched.push(id),
  });
});

function issue(draft: object = {}): { id: string; text: string } {
  const { decision } = world.do(createTokenOf(draft));
  const edit = decision.edits[0];
  if (edit?.kind !== "token" || decision.secret === undefined) throw new Error("A token was expected.");
  return { id: edit.id, text: decision.secret };
}

const ask = (text: string | null, address = "192.0.2.1") => {
  const answer = authenticator.authenticate(text, address, "request-1");
  return answer.ok ? answer.actor : answer.refusal.code;
};

describe("a live token", () => {
  it("becomes the actor it was made for, and is remembered as used", () => {
    const { id, text } = issue({ kind: "server", name: "shop", environments: [PRODUCTION] });
    expect(ask(text)).toEqual({
      token: id,
      kind: "server",
      name: "shop",
      environments: ["production"],
      roles: [],
      requestId: "request-1",
    });
    expect(touched).toEqual([id]);
  });

  it("passes until the moment it expires", () => {
    const { text } = issue({ expiresAt: "2026-01-01T00:01:00Z" });
    time.advance(59_999);
    expect(ask(text)).toMatchObject({ kind: "viewer" });
    time.advance(1);
    expect(ask(text)).toBe("unauthenticated");
  });

  it("passes although a stranger failed with its id and from its address", () => {
    const { text } = issue();
    const wrong = forge(text);
    for (let index = 0; index < 50; index++) ask(wrong);
    expect(ask(wrong)).toBe("too_many_failures");
    expect(ask(text)).toMatchObject({ kind: "viewer" });
  });

  it("is one of two while it is being rotated", () => {
    const first = issue();
    const second = issue();
    expect(ask(first.text)).toMatchObject({ token: first.id });
    expect(ask(second.text)).toMatchObject({ token: second.id });
    world.do({ type: "revoke_token", id: first.id });
    expect(ask(first.text)).toBe("unauthenticated");
    expect(ask(second.text)).toMatchObject({ token: second.id });
  });
});

/** Well-formed, with the id of a real token and another secret. */
function forge(text: string): string {
  const [, , id] = text.split("_");
  for (;;) {
    const made = createTokenText("viewer", { ...random, bytes: stubId(id ?? "") }, null);
    if (made.id === id) return made.text;
  }
}

/** Bytes that spell the id first and are random afterwards. */
function stubId(id: string) {
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  let isFirst = true;
  return (count: number) => {
    if (!isFirst) return random.bytes(count);
    isFirst = false;
    return Uint8Array.from(id, (character) => alphabet.indexOf(character));
  };
}

describe("a token that is none", () => {
  const kinds: [string, () => string | null][] = [
    ["nothing", () => null],
    ["an empty text", () => ""],
    ["a malformed text", () => "bnt_admin_x"],
    ["a typing error", () => `${issue().text.slice(0, -1)}!`],
    ["an unknown id", () => createTokenText("admin", random, null).text],
    ["a wrong secret", () => forge(issue().text)],
    [
      "a revoked token",
      () => {
        const { id, text } = issue();
        world.do({ type: "revoke_token", id });
        return text;
      },
    ],
  ];
  it.each(kinds)("is refused with one and the same answer: %s", (_, make) => {
    const text = make();
    const answer = authenticator.authenticate(text, "192.0.2.1", "request-1");
    expect(answer).toEqual({
      ok: false,
      refusal: { code: "unauthenticated", detail: "Send a live token as `Authorization: Bearer <token>`." },
      retryAfterMs: null,
    });
    expect(touched).toEqual([]);
  });

  it.each(kinds)("costs one comparison in constant time: %s", (_, make) => {
    const text = make();
    compared.count = 0;
    ask(text);
    expect(compared.count).toBe(1);
  });
});

describe("guessing", () => {
  const guess = () => createTokenText("admin", random, null).text;

  it("is slowed down per address, at the limit and not before", () => {
    for (let index = 0; index < 20; index++) expect(ask(guess())).toBe("unauthenticated");
    expect(ask(guess())).toBe("too_many_failures");
    expect(ask(guess(), "192.0.2.2")).toBe("unauthenticated");
    time.advance(60_000);
    expect(ask(guess())).toBe("unauthenticated");
  });

  it("is slowed down per token id, whatever the address", () => {
    const { text } = issue();
    const wrong = forge(text);
    for (let index = 0; index < 10; index++) expect(ask(wrong, `198.51.100.${index}`)).toBe("unauthenticated");
    const answer = authenticator.authenticate(wrong, "198.51.100.99", "request-1");
    expect(answer).toMatchObject({ ok: false, refusal: { code: "too_many_failures" }, retryAfterMs: 60_000 });
  });
});
