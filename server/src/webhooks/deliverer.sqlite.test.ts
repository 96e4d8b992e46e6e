import { type WebhookDraft, webhookDraft } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { createFakeTime, createSeededRandom, type FakeTime } from "@bunting/testkit";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Command } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { actor, createFlag, createTestLogger, killOf, restoreOf, TestFolder } from "../ledger/ledger-fixture.ts";
import type { OpenedLedger } from "../ledger/open-ledger.ts";
import { StorageError } from "../store/store.ts";
import { Deliverer } from "./deliverer.ts";
import type { Outbox } from "./delivery.ts";
import type { Outgoing, OutgoingAnswer, OutgoingRequest } from "./outgoing.ts";
import { LONGEST_DELAY_MS } from "./retry.ts";
import { signatureOf } from "./signature.ts";
import { createWebhookMetrics, observeOutbox } from "./webhook-metrics.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const SECRET = "canary-secret-of-a-receiver";

/** Addresses that answer as the test says, and remember what they were sent. */
class Receivers implements Outgoing {
  readonly sent: OutgoingRequest[] = [];
  /** How the next requests are answered: taken one by one, the last for ever. */
  answers: (() => OutgoingAnswer | Promise<OutgoingAnswer>)[] = [status(200)];

  send(request: OutgoingRequest): Promise<OutgoingAnswer> {
    this.sent.push(request);
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    return Promise.resolve(answer?.() ?? failed());
  }

  get ids(): (string | undefined)[] {
    return this.sent.map(({ headers }) => headers["bunting-delivery"]);
  }

  get kinds(): (string | undefined)[] {
    return this.sent.map(({ headers }) => headers["bunting-notification"]);
  }
}

const status = (code: number) => (): OutgoingAnswer => ({
  ok: true,
  status: code,
  body: Buffer.from("canary-answer"),
  durationMs: 12,
  byteCount: 13,
});
const failed = (): OutgoingAnswer => ({ ok: false, failure: "connection", durationMs: 3, byteCount: 0 });

let time: FakeTime;
let folder: TestFolder;
let opened: OpenedLedger;
let receivers: Receivers;
let log: ReturnType<typeof createTestLogger>;
let registry: Registry;
let deliverers: Deliverer[] = [];

beforeEach(() => {
  time = createFakeTime();
  folder = new TestFolder({ time, random: createSeededRandom(23) });
  opened = folder.open();
  receivers = new Receivers();
  log = createTestLogger();
  registry = new Registry();
});
afterEach(async () => {
  for (const deliverer of deliverers.splice(0)) await deliverer.close();
  folder.remove();
});

function start(ledger: Pick<Ledger, "state" | "outbox" | "onOutbox"> = opened.ledger): Deliverer {
  registry = new Registry();
  const deliverer = new Deliverer({
    ledger,
    outgoing: receivers,
    box: opened.box,
    ...time,
    random: createSeededRandom(5),
    logger: log.logger,
    metrics: createWebhookMetrics(registry),
  });
  deliverers.push(deliverer);
  return deliverer;
}

function execute(command: Command): void {
  const outcome = opened.ledger.execute(command, actor());
  if (!outcome.ok) throw new Error(outcome.refusal.detail);
}

function createWebhook(name: string, draft: Partial<WebhookDraft> = {}): string {
  const url = `https://${name}.example.com/hook`;
  execute({ type: "create_webhook", draft: webhookDraft.parse({ name, url, secret: SECRET, ...draft }) });
  return webhookOf(name).id;
}

function webhookOf(name: string) {
  const webhook = [...opened.ledger.state.webhooks.values()].find((each) => each.name === name);
  if (!webhook) throw new Error(`There is no webhook ${name}.`);
  return webhook;
}

const deliveriesOf = (webhook: string) => opened.ledger.outbox.read(webhook, { before: null, limit: 2_000 });

/** Kills and restores a flag: `count` notifications. */
function tell(count: number): void {
  if (!opened.ledger.state.flags.has(createdFlag)) execute(createFlag(createdFlag));
  for (let index = 0; index < count; index++) {
    const environment = opened.ledger.state.environments.get(production);
    const isKilled = environment?.configurations.get(createdFlag)?.configuration.killed !== null;
    execute(isKilled ? restoreOf(createdFlag) : killOf(createdFlag));
  }
}
const createdFlag = "told" as Parameters<Ledger["state"]["flags"]["get"]>[0];
const production = "production" as Parameters<Ledger["state"]["environments"]["get"]>[0];

describe("NO-1 a delivery is part of the change that it tells of", () => {
  it("one for each webhook that takes it, on the disk when the change is", () => {
    const releases = createWebhook("releases");
    const pager = createWebhook("pager", { kinds: ["flag.killed"] });
    const staging = createWebhook("staging", { environments: ["staging" as never] });
    tell(2);
    folder.close();
    opened = folder.open();
    expect(deliveriesOf(releases).map(({ kind, state }) => [kind, state])).toEqual([
      ["flag.restored", "waiting"],
      ["flag.killed", "waiting"],
    ]);
    expect(deliveriesOf(pager).map(({ kind }) => kind)).toEqual(["flag.killed"]);
    expect(deliveriesOf(staging)).toEqual([]);
    expect(opened.ledger.verify()).toMatchObject({ intact: true });
  });

  it("and none of a change that was refused", () => {
    const releases = createWebhook("releases");
    expect(opened.ledger.execute(killOf("nobody"), actor()).ok).toBe(false);
    expect(deliveriesOf(releases)).toEqual([]);
  });

  it("is copied with a backup, and not damaged without being noticed", async () => {
    createWebhook("releases");
    tell(1);
    await opened.ledger.backup(folder.file("copy.db"));
    expect(opened.ledger.verify()).toMatchObject({ intact: true });
  });
});

describe("NO-7 a delivery is made", () => {
  it("as soon as the change is committed, signed, with its id and kind", async () => {
    createWebhook("releases");
    start();
    await time.advanceAsync(0);
    tell(1);
    await time.advanceAsync(0);
    expect(receivers.sent).toHaveLength(1);
    const [{ url, headers, body } = { url: "", headers: {}, body: "" }] = receivers.sent;
    const [{ id, notification } = { id: "", notification: "" }] = deliveriesOf(webhookOf("releases").id);
    expect(url).toBe("https://releases.example.com/hook");
    expect(headers).toMatchObject({
      "bunting-delivery": id,
      "bunting-notification": "flag.killed",
      "bunting-signature": signatureOf(body, [SECRET], Math.floor(time.clock.now() / 1000)),
    });
    expect(JSON.parse(body)).toMatchObject({ id: notification, kind: "flag.killed", flags: ["told"] });
    expect(deliveriesOf(webhookOf("releases").id)).toMatchObject([
      { state: "delivered", tryCount: 1, nextTryAt: null, lastTry: { status: 200, failure: null, answerBytes: 13 } },
    ]);
  });

  it("and not again, by this process or the next", async () => {
    createWebhook("releases");
    tell(1);
    await start().close();
    deliverers = [];
    start();
    await time.advanceAsync(2 * DAY_MS);
    start();
    await time.advanceAsync(2 * DAY_MS);
    expect(receivers.sent).toHaveLength(1);
  });

  it("with the same id and the same body at every try, and a signature of its own time", async () => {
    createWebhook("releases");
    receivers.answers = [status(500), failed, status(200)];
    tell(1);
    start();
    await time.advanceAsync(DAY_MS);
    expect(receivers.sent).toHaveLength(3);
    expect(new Set(receivers.ids).size).toBe(1);
    expect(new Set(receivers.sent.map(({ body }) => body)).size).toBe(1);
    expect(new Set(receivers.sent.map(({ headers }) => headers["bunting-signature"])).size).toBe(3);
  });

  it("by whoever comes next, if the process ends before the result is stored", async () => {
    createWebhook("releases");
    tell(1);
    // The first process never hears the answer to what it sent.
    receivers.answers = [held().answer, status(200)];
    start();
    await time.advanceAsync(0);
    deliverers = [];
    folder.close();
    opened = folder.open();
    start();
    await time.advanceAsync(0);
    expect(receivers.sent).toHaveLength(2);
    expect(new Set(receivers.ids).size).toBe(1);
    expect(deliveriesOf(webhookOf("releases").id)).toMatchObject([{ state: "delivered" }]);
  });
});

function reading(outbox: Outbox): Omit<Outbox, "record"> {
  return {
    due: (webhook, now) => outbox.due(webhook, now),
    nextTryAt: (webhook) => outbox.nextTryAt(webhook),
    read: (webhook, page) => outbox.read(webhook, page),
    count: () => outbox.count(),
  };
}

describe("NO-8 a delivery that fails", () => {
  it.each([199, 301, 308, 400, 404, 410, 429, 500, 503])("%i is not received", async (code) => {
    createWebhook("releases");
    receivers.answers = [status(code)];
    tell(1);
    start();
    await time.advanceAsync(0);
    const failure = code >= 300 && code < 400 ? "redirect" : "status";
    expect(deliveriesOf(webhookOf("releases").id)).toMatchObject([{ state: "waiting", lastTry: { failure } }]);
  });

  it("is tried twelve times within a day, then dead, logged and counted", async () => {
    createWebhook("releases");
    receivers.answers = [failed];
    tell(1);
    const from = time.clock.now();
    start();
    await time.advanceAsync(DAY_MS);
    expect(receivers.sent).toHaveLength(LIMITS.deliveryTries);
    const [delivery] = deliveriesOf(webhookOf("releases").id);
    expect(delivery).toMatchObject({
      state: "dead",
      tryCount: 12,
      nextTryAt: null,
      lastTry: { failure: "connection" },
    });
    expect((delivery?.lastTry?.at ?? 0) - from).toBeLessThanOrEqual(DAY_MS);
    await time.advanceAsync(10 * DAY_MS);
    expect(receivers.sent).toHaveLength(LIMITS.deliveryTries);
    expect(log.lines.filter(({ level }) => level === "error")).toMatchObject([
      { message: "A delivery failed for the last time.", fields: { webhook: "releases", failure: "connection" } },
    ]);
    observeOutbox(registry, opened.ledger.outbox, () => time.clock.now());
    const metrics = await registry.metrics();
    expect(metrics).toContain('bunting_webhook_tries_total{outcome="connection"} 12');
    expect(metrics).toContain('bunting_webhook_deliveries{state="dead"} 1');
  });

  it("costs no other figure when it cannot be counted", async () => {
    const unreadable = (): never => {
      throw new Error("SQLITE_IOERR");
    };
    start();
    observeOutbox(registry, { count: unreadable }, () => time.clock.now());
    const metrics = await registry.metrics();
    expect(metrics).toContain("bunting_webhook_tries_total");
    expect(metrics).not.toMatch(/^bunting_webhook_(deliveries|oldest_waiting_seconds)/m);
  });

  it("waits its time across a restart, and no longer than that for a clock that was set back", async () => {
    createWebhook("releases");
    receivers.answers = [failed];
    tell(1);
    const first = start();
    await time.advanceAsync(0);
    await first.close();
    deliverers = [];
    start();
    await time.advanceAsync(3_000);
    expect(receivers.sent).toHaveLength(1);
    await time.advanceAsync(2_000);
    expect(receivers.sent).toHaveLength(2);
    time.jumpWallClock(-2 * LONGEST_DELAY_MS);
    await time.advanceAsync(60_000);
    expect(receivers.sent.length).toBeGreaterThan(2);
  });

  it("is not sent unsigned or altered: what cannot be opened or was damaged is undeliverable", async () => {
    createWebhook("releases");
    tell(1);
    const box = { open: () => null };
    const deliverer = new Deliverer({
      ledger: opened.ledger,
      outgoing: receivers,
      box,
      ...time,
      random: createSeededRandom(5),
      logger: log.logger,
      metrics: createWebhookMetrics(registry),
    });
    deliverers.push(deliverer);
    await time.advanceAsync(0);
    expect(receivers.sent).toEqual([]);
    expect(deliveriesOf(webhookOf("releases").id)).toMatchObject([{ lastTry: { failure: "undeliverable" } }]);
  });
});

/** Answers when the test says so. */
function held(answer = status(200)()) {
  const waiting: (() => void)[] = [];
  return {
    answer: () => new Promise<OutgoingAnswer>((resolve) => void waiting.push(() => resolve(answer))),
    release: () => waiting.shift()?.(),
    get count() {
      return waiting.length;
    },
  };
}

describe("NO-9 how many at a time", () => {
  it("one of each webhook, in the order of the changes", async () => {
    createWebhook("releases");
    const slow = held();
    receivers.answers = [slow.answer];
    tell(3);
    start();
    await time.advanceAsync(0);
    for (let count = 1; count <= 3; count++) {
      expect(receivers.sent).toHaveLength(count);
      slow.release();
      await time.advanceAsync(0);
      await time.advanceAsync(0);
    }
    expect(receivers.kinds).toEqual(["flag.killed", "flag.restored", "flag.killed"]);
  });

  it("eight webhooks", async () => {
    for (let index = 0; index < 10; index++) createWebhook(`hook-${index}`);
    const slow = held();
    receivers.answers = [slow.answer];
    tell(1);
    start();
    await time.advanceAsync(120_000);
    expect(slow.count).toBe(8);
    while (slow.count > 0) {
      slow.release();
      await time.advanceAsync(0);
      await time.advanceAsync(0);
    }
    expect(receivers.sent).toHaveLength(10);
  });

  it("and one that failed lets those behind it pass", async () => {
    createWebhook("releases");
    receivers.answers = [failed, status(200)];
    tell(2);
    start();
    await time.advanceAsync(1_000);
    expect(receivers.kinds).toEqual(["flag.killed", "flag.restored"]);
    await time.advanceAsync(10_000);
    expect(receivers.kinds).toEqual(["flag.killed", "flag.restored", "flag.killed"]);
  });
});

describe("NO-11 a webhook in trouble", () => {
  it("holds up neither a change nor the webhook beside it", async () => {
    createWebhook("a-slow-one");
    createWebhook("releases");
    const slow = held();
    receivers.answers = [slow.answer, status(200)];
    start();
    tell(1);
    await time.advanceAsync(0);
    tell(1);
    await time.advanceAsync(0);
    expect(deliveriesOf(webhookOf("releases").id).map(({ state }) => state)).toEqual(["delivered", "delivered"]);
    expect(deliveriesOf(webhookOf("a-slow-one").id).map(({ state }) => state)).toEqual(["waiting", "waiting"]);
    slow.release();
  });

  it("holds up nobody's deliveries for ever, though as many hang as are told at a time", async () => {
    for (let index = 0; index < 9; index++) createWebhook(`hook-${index}`);
    const slow = held();
    receivers.answers = [slow.answer];
    tell(2);
    start();
    await time.advanceAsync(0);
    // One of the eight has ended. It has more to be told, and the ninth has waited longer.
    slow.release();
    await time.advanceAsync(0);
    await time.advanceAsync(0);
    const told = receivers.sent.map(({ url }) => url);
    receivers.answers = [status(200)];
    while (slow.count > 0) slow.release();
    expect(told).toHaveLength(9);
    expect(new Set(told).size).toBe(9);
  });

  it("that is deleted while it is being told is forgotten, with all that waits", async () => {
    const releases = createWebhook("releases");
    const slow = held();
    receivers.answers = [slow.answer];
    tell(2);
    start();
    await time.advanceAsync(0);
    execute({ type: "delete_webhook", name: "releases" });
    slow.release();
    await time.advanceAsync(DAY_MS);
    expect(receivers.sent).toHaveLength(1);
    expect(deliveriesOf(releases)).toEqual([]);
    expect(opened.ledger.verify()).toMatchObject({ intact: true });
  });
});

describe("NO-10 the outbox has limits", () => {
  it("gives up the oldest above a thousand that wait, and keeps a thousand that ended", async () => {
    const releases = createWebhook("releases");
    const slow = held(failed());
    const second = held();
    receivers.answers = [slow.answer, second.answer, status(200)];
    tell(1);
    start();
    await time.advanceAsync(0);
    tell(LIMITS.deliveriesWaiting + 2);
    const states = () => deliveriesOf(releases).map(({ state }) => state);
    expect(states().filter((state) => state === "waiting")).toHaveLength(LIMITS.deliveriesWaiting);
    expect(states().slice(-4)).toEqual(["waiting", "dead", "dead", "dead"]);

    // The one that was under way meanwhile fails, and that does not bring it back.
    receivers.sent.length = 0;
    slow.release();
    await time.advanceAsync(0);
    expect(states().at(-1)).toBe("dead");
    second.release();
    await time.advanceAsync(0);
    for (let turn = 0; turn < LIMITS.deliveriesWaiting + 3; turn++) await time.advanceAsync(0);
    const kept = deliveriesOf(releases);
    expect(receivers.sent).toHaveLength(LIMITS.deliveriesWaiting);
    expect(kept).toHaveLength(LIMITS.deliveriesKept);
    expect(new Set(kept.map(({ state }) => state))).toEqual(new Set(["delivered"]));
    expect(opened.ledger.verify()).toMatchObject({ intact: true });
  }, 60_000);
});

describe("NO-13 a disk that does not take a result", () => {
  it("stops that webhook until it does, and the others not", async () => {
    createWebhook("a-first-one");
    createWebhook("releases");
    tell(2);
    const first = webhookOf("a-first-one").id;
    let broken = true;
    const { outbox } = opened.ledger;
    const failing: Outbox = {
      ...reading(outbox),
      record(result) {
        if (broken && result.id.endsWith(first)) throw new StorageError("full", "The disk is full.");
        outbox.record(result);
      },
    };
    const { ledger } = opened;
    start({ state: ledger.state, onOutbox: (listener) => ledger.onOutbox(listener), outbox: failing });
    await time.advanceAsync(10 * 60_000);
    const toFirst = () => receivers.ids.filter((id) => id?.endsWith(first));
    expect(toFirst()).toHaveLength(1);
    expect(receivers.sent).toHaveLength(3);
    broken = false;
    await time.advanceAsync(60_000);
    expect(toFirst()).toHaveLength(2);
    expect(new Set(toFirst()).size).toBe(2);
    expect(deliveriesOf(first).map(({ state }) => state)).toEqual(["delivered", "delivered"]);
  });
});

describe("NO-15 after a rotation", () => {
  it("both secrets sign until the overlap ends, then the new one alone", async () => {
    createWebhook("releases");
    const draft = { secret: "another-secret-of-a-receiver", overlapSeconds: 3600 };
    execute({ type: "rotate_webhook", name: "releases", draft });
    start();
    const signedBy = async (): Promise<string[][]> => {
      tell(1);
      await time.advanceAsync(0);
      const last = receivers.sent.at(-1);
      const seconds = Math.floor(time.clock.now() / 1000);
      return [[draft.secret, SECRET], [draft.secret]].filter(
        (secrets) => signatureOf(last?.body ?? "", secrets, seconds) === last?.headers["bunting-signature"],
      );
    };
    expect(await signedBy()).toEqual([[draft.secret, SECRET]]);
    await time.advanceAsync(3_600_000);
    expect(await signedBy()).toEqual([[draft.secret]]);
  });
});
