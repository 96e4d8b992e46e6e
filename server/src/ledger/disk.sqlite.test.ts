import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeTime, createSeededRandom, type FakeTime } from "@bunting/testkit";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { Ballast } from "../store/ballast.ts";
import { SqliteStore } from "../store/sqlite/sqlite-store.ts";
import { StorageError, type Store, type Transaction } from "../store/store.ts";
import { createSecretBox } from "../webhooks/secret-box.ts";
import { createWebhookFacts } from "../webhooks/webhook-facts.ts";
import {
  actor,
  createFlag,
  createTestLogger,
  createTokenOf,
  killOf,
  PRODUCTION,
  restoreOf,
  TestFolder,
} from "./ledger-fixture.ts";
import { StoredLedger } from "./stored-ledger.ts";

let time: FakeTime;
let folder: TestFolder;
const random = createSeededRandom(13);
beforeEach(() => {
  time = createFakeTime();
  folder = new TestFolder({ time, random });
});
afterEach(() => folder.remove());

const codeOf = (outcome: ReturnType<StoredLedger["execute"]>): string => (outcome.ok ? "ok" : outcome.refusal.code);

describe("R35 a full disk", () => {
  // A volume of its own, so small that it is soon full. Needs the right to mount.
  const volume = mkdtempSync(join(tmpdir(), "bunting-volume-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1536k", "tmpfs", volume]).status === 0;
  afterEach(() => {
    folder.close();
    if (mounted) spawnSync("umount", ["-l", volume]);
  });
  afterAll(() => rmSync(volume, { recursive: true, force: true }));

  it.skipIf(!mounted)(
    "still takes kill, restore and revocation, and recovers (skipped where no tmpfs can be mounted)",
    () => {
      const dataDir = join(volume, "data");
      mkdirSync(dataDir);
      const { ledger } = folder.open({ dataDir, ballastBytes: 256 * 1024 });
      for (const key of ["a", "b"]) expect(codeOf(ledger.execute(createFlag(key), actor()))).toBe("ok");
      expect(codeOf(ledger.execute(createTokenOf({}), actor()))).toBe("ok");

      const { bavail, bsize } = statfsSync(volume);
      writeFileSync(join(volume, "filler"), Buffer.alloc(bavail * bsize));
      let written = 0;
      let outcome = ledger.execute(createFlag(`c${written}`), actor());
      while (outcome.ok && written < 1000) outcome = ledger.execute(createFlag(`c${++written}`), actor());
      expect(codeOf(outcome)).toBe("storage_full");
      expect(ledger.readOnly).toBe("storage_full");
      expect(existsSync(join(dataDir, "ballast"))).toBe(false);

      // Reads go on, and the change that failed is nowhere.
      expect(ledger.state.flags.size).toBe(written + 2);
      expect(ledger.ruleset(PRODUCTION)).toBeDefined();
      expect(codeOf(ledger.execute(killOf("a"), actor("operator")))).toBe("ok");
      expect(codeOf(ledger.execute(restoreOf("a"), actor("operator")))).toBe("ok");
      const id = [...ledger.state.tokens.values()].find(({ kind }) => kind === "server")?.id ?? "";
      expect(codeOf(ledger.execute({ type: "revoke_token", id }, actor()))).toBe("ok");
      expect(codeOf(ledger.execute(createFlag("d"), actor()))).toBe("storage_full");

      rmSync(join(volume, "filler"));
      time.advance(5_000);
      expect(ledger.readOnly).toBeNull();
      expect(existsSync(join(dataDir, "ballast"))).toBe(true);
      expect(codeOf(ledger.execute(createFlag("d"), actor()))).toBe("ok");
      const { flags } = ledger.state;
      folder.close();
      expect(folder.open({ dataDir }).ledger.state.flags.size).toBe(flags.size);
    },
  );
});

/** A real store whose disk can be told to fail. */
class FailingStore implements Store {
  fails: { readonly kind: StorageError["kind"]; readonly when: "before" | "after" } | null = null;
  readonly #store: Store;
  readonly outbox: Store["outbox"];

  constructor(store: Store) {
    this.#store = store;
    this.outbox = store.outbox;
  }

  commit(transaction: Transaction): void {
    const { fails } = this;
    if (fails?.when === "before") throw new StorageError(fails.kind, "injected");
    this.#store.commit(transaction);
    if (fails) throw new StorageError(fails.kind, "injected");
  }

  load: Store["load"] = () => this.#store.load();
  findResponse: Store["findResponse"] = (token, key) => this.#store.findResponse(token, key);
  readAudit: Store["readAudit"] = (filter) => this.#store.readAudit(filter);
  readDecisions: Store["readDecisions"] = (filter) => this.#store.readDecisions(filter);
  verify: Store["verify"] = () => this.#store.verify();
  saveTokenUses: Store["saveTokenUses"] = (uses) => this.#store.saveTokenUses(uses);
  backup: Store["backup"] = (file) => this.#store.backup(file);
  maintain: Store["maintain"] = () => this.#store.maintain();
  close: Store["close"] = () => this.#store.close();
}

describe("R34 a disk that fails", () => {
  let database: Database.Database;
  let store: FailingStore;
  let ledger: StoredLedger;
  let lines: ReturnType<typeof createTestLogger>["lines"];

  beforeEach(() => {
    folder.open();
    folder.close();
    const log = createTestLogger();
    lines = log.lines;
    database = new Database(folder.file("bunting.db"));
    store = new FailingStore(new SqliteStore(database, 1000));
    ledger = new StoredLedger({
      store,
      clock: time.clock,
      scheduler: time.scheduler,
      random,
      logger: log.logger,
      pepper: null,
      webhooks: createWebhookFacts(random, createSecretBox(random.bytes(32), random), new Set()),
      ballast: new Ballast(folder.file("ballast"), random, 1024),
      head: null,
      writeHead: () => undefined,
    });
  });
  afterEach(() => ledger.close());

  it.each(["before", "after"] as const)(
    "leaves the outcome open, ends writing and serves what it knew (failing %s the write)",
    (when) => {
      expect(codeOf(ledger.execute(createFlag("a"), actor()))).toBe("ok");
      const { state } = ledger;
      const heard: unknown[] = [];
      ledger.onCommit((commit) => void heard.push(commit));
      store.fails = { kind: "failed", when };
      expect(codeOf(ledger.execute(killOf("a"), actor()))).toBe("storage_unknown_outcome");
      expect(ledger.readOnly).toBe("storage_read_only");
      store.fails = null;
      for (const command of [killOf("a"), createFlag("b")]) {
        expect(codeOf(ledger.execute(command, actor()))).toBe("storage_read_only");
      }
      expect(heard).toEqual([]);
      expect(ledger.state).toBe(state);
      expect(ledger.ruleset(PRODUCTION)).toMatchObject({ revision: 1 });
      expect(ledger.reportAhead(PRODUCTION, 9)).toBe(false);
      expect(lines.filter(({ level }) => level === "error")).toHaveLength(1);
      time.advance(600_000);
      expect(ledger.readOnly).toBe("storage_read_only");
    },
  );

  it("is asked again with the same key after a restart, and the change is there once", () => {
    const request = { key: "k", digest: "d", respond: () => ({ status: 201, body: "{}", headers: {} }) };
    store.fails = { kind: "failed", when: "after" };
    expect(codeOf(ledger.execute(createFlag("a"), actor(), request))).toBe("storage_unknown_outcome");
    ledger.close();
    const restarted = folder.open().ledger;
    expect(restarted.execute(createFlag("a"), actor(), request)).toMatchObject({ ok: true, replayed: { status: 201 } });
    expect(restarted.state.flags.size).toBe(1);
    folder.close();
  });

  it.each([
    ["a changed row", "UPDATE flag SET content = replace(content, 'release', 'ops')", { table: "flag", key: "a" }],
    ["a vanished row", "DELETE FROM configuration WHERE environment = 'staging'", { table: "meta", key: "digest" }],
    [
      "a changed answer",
      "UPDATE response SET content = replace(content, '201', '202')",
      { table: "response", key: "admin-token/k" },
    ],
  ])("R36 ends writing when verification finds %s", (_, damage, row) => {
    const request = { key: "k", digest: "d", respond: () => ({ status: 201, body: "{}", headers: {} }) };
    expect(codeOf(ledger.execute(createFlag("a"), actor(), request))).toBe("ok");
    database.exec(damage);
    expect(ledger.verify()).toMatchObject({ intact: false, damagedRows: [row] });
    expect(codeOf(ledger.execute(killOf("a"), actor()))).toBe("storage_read_only");
  });
});
