import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { actor, createFlag, killOf, patchOf, putSegmentOf, TestFolder } from "../../ledger/ledger-fixture.ts";
import type { State } from "../../ledger/state.ts";
import { StartupError } from "../../startup-error.ts";

const SEED = 20_261;
const PAGE_BYTES = 4096;

let folder: TestFolder;
let older: Buffer;
let whole: Buffer;
let facts: string;
let audit: string;

/** Everything that decides what somebody is served or may do. */
function factsOf(state: State): string {
  const replacer = (_: string, value: unknown): unknown => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
    if (typeof value === "object" && value !== null && Symbol.iterator in value && !Array.isArray(value)) {
      return [...(value as Iterable<[string, unknown]>)].sort(([a], [b]) => (a < b ? -1 : 1));
    }
    return value;
  };
  return JSON.stringify(state, replacer);
}

beforeAll(() => {
  folder = new TestFolder({ time: createFakeTime(), random: createSeededRandom(SEED) });
  const { ledger } = folder.open();
  for (let index = 0; index < 40; index++)
    ledger.execute(createFlag(`flag-${index}`, { description: "x".repeat(100) }), actor());
  ledger.execute(putSegmentOf("staff", [{ attribute: "email", op: "ends_with", values: ["@example.com"] }]), actor());
  folder.close();
  older = readFileSync(folder.file("bunting.db"));
  copyFileSync(folder.file("bunting.db"), folder.file("older.db"));
  const again = folder.open().ledger;
  for (let index = 0; index < 40; index += 3) {
    again.execute(patchOf(`flag-${index}`, { fallthrough: { split: { on: 10, off: 90 } } }), actor());
  }
  again.execute(killOf("flag-1"), actor());
  const tokens = [...again.state.tokens.values()].filter(({ kind }) => kind === "server");
  again.execute({ type: "revoke_token", id: tokens.map(({ id }) => id).sort()[0] ?? "" }, actor());
  facts = factsOf(again.state);
  audit = JSON.stringify(again.audit({ before: null, limit: 200, environments: null }));
  folder.close();
  whole = readFileSync(folder.file("bunting.db"));
  copyFileSync(folder.file("head.json"), folder.file("head.json.kept"));
});
afterAll(() => folder.remove());

/** What a server makes of these bytes: it refuses them, or it serves exactly what was written. */
function open(bytes: Uint8Array): "refused" | "right" | "wrong" {
  writeFileSync(folder.file("bunting.db"), bytes);
  copyFileSync(folder.file("head.json.kept"), folder.file("head.json"));
  try {
    const { ledger } = folder.open();
    const { state } = ledger;
    const { intact } = ledger.verify();
    if (factsOf(state) !== facts) return "wrong";
    if (intact && JSON.stringify(ledger.audit({ before: null, limit: 200, environments: null })) !== audit)
      return "wrong";
    return "right";
  } catch (error) {
    if (error instanceof StartupError) return "refused";
    throw error;
  } finally {
    folder.close();
  }
}

describe("R36 damage on the disk is noticed before anybody is served", () => {
  it("serves what was written when nothing is damaged", () => expect(open(whole)).toBe("right"));

  it(`finds flipped bits (seed ${SEED})`, () => {
    const random = createSeededRandom(SEED);
    const found = { refused: 0, right: 0, wrong: 0 };
    for (let flip = 0; flip < 120; flip++) {
      const bytes = Buffer.from(whole);
      const at = random.below(bytes.length);
      bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at);
      found[open(bytes)]++;
    }
    expect(found.wrong).toBe(0);
    // Most of the file is documents and their history: the run has to have met them.
    expect(found.refused).toBeGreaterThan(25);
  });

  it("finds every page that was replaced by its older self, as a lost write leaves it", () => {
    const pages = Math.min(older.length, whole.length) / PAGE_BYTES;
    const found = { refused: 0, right: 0, wrong: 0 };
    for (let page = 0; page < pages; page++) {
      const stale = older.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      if (stale.equals(whole.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES))) continue;
      const bytes = Buffer.from(whole);
      stale.copy(bytes, page * PAGE_BYTES);
      found[open(bytes)]++;
    }
    expect(found.wrong).toBe(0);
    expect(found.refused).toBeGreaterThan(5);
  });

  it("finds zeroed pages and files that were cut", () => {
    const found = { refused: 0, right: 0, wrong: 0 };
    for (let page = 0; page < whole.length / PAGE_BYTES; page++) {
      const zeroed = Buffer.from(whole);
      zeroed.fill(0, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      found[open(zeroed)]++;
      if (page > 0) found[open(whole.subarray(0, page * PAGE_BYTES))]++;
    }
    expect(found.wrong).toBe(0);
  });

  const edits: [string, string, "rows" | "start"][] = [
    [
      "a flag that was edited by hand",
      "UPDATE flag SET content = replace(content, 'xxxx', 'yyyy') WHERE key = 'flag-3'",
      "start",
    ],
    ["a flag that was removed", "PRAGMA foreign_keys = OFF; DELETE FROM flag WHERE key = 'flag-3'", "start"],
    [
      "two flags whose contents were exchanged",
      "UPDATE flag SET content = (SELECT content FROM flag WHERE key = 'flag-4'), checksum = (SELECT checksum FROM flag WHERE key = 'flag-4') WHERE key = 'flag-3'",
      "start",
    ],
    [
      "a configuration that was removed",
      "DELETE FROM configuration WHERE flag = 'flag-3' AND environment = 'staging'",
      "start",
    ],
    [
      "a token that was given more rights",
      `UPDATE token SET content = replace(content, '"kind":"server"', '"kind":"admin"')`,
      "start",
    ],
    [
      "a revocation that was lost, its row being right in itself",
      "UPDATE token SET (content, checksum) = (SELECT content, checksum FROM older.token AS o WHERE o.key = token.key)",
      "start",
    ],
    [
      "text that became a blob",
      "PRAGMA ignore_check_constraints = ON; UPDATE segment SET checksum = CAST(zeroblob(32) AS BLOB)",
      "start",
    ],
    [
      "a change that was removed from the middle",
      "DELETE FROM change WHERE environment = 'production' AND revision = 20",
      "start",
    ],
    [
      "a change that was edited",
      "UPDATE change SET content = replace(content, 'on', 'no') WHERE environment = 'production' AND revision = 20",
      "start",
    ],
    ["the last audit entry removed", "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)", "start"],
    ["an audit entry in the middle removed", "DELETE FROM audit WHERE number = 10", "rows"],
    [
      "an audit entry in the middle edited",
      "UPDATE audit SET content = replace(content, 'a admin', 'nobody') WHERE number = 10",
      "rows",
    ],
    ["an audit entry filed under another flag", "UPDATE audit SET object_key = 'flag-9' WHERE number = 12", "rows"],
  ];
  it.each(edits)("finds %s", (_, sql, when) => {
    writeFileSync(folder.file("bunting.db"), whole);
    const database = new Database(folder.file("bunting.db"));
    database.prepare("ATTACH ? AS older").run(folder.file("older.db"));
    database.exec(sql);
    database.close();
    const edited = readFileSync(folder.file("bunting.db"));
    if (when === "start") return expect(open(edited)).toBe("refused");
    const { ledger } = folder.open();
    const verification = ledger.verify();
    expect(verification.intact).toBe(false);
    expect(verification.brokenAt).toBeGreaterThanOrEqual(10);
    folder.close();
  });
});
