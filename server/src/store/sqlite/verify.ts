import type { AuditEntry, AuditVerification } from "@bunting/contracts";
import Database from "better-sqlite3";
import { type ChainHead, continuesChain, EMPTY_CHAIN, headAfter } from "../../audit/chain.ts";
import type { Meta } from "./meta.ts";
import type { Queries } from "./queries.ts";
import { addToDigest, rowChecksum, sameChecksum } from "./row-checksum.ts";

type DamagedRow = AuditVerification["damagedRows"][number];

/** Damaged rows that are named; more would add nothing to the decision to restore. */
const DAMAGED_ROWS = 1_000;
const ROWS_PER_STEP = 500;

/**
 * Walks the whole audit chain and every row with a checksum. Reports, and does not throw for what it finds. Yields the number
 * of audit entries done every few hundred rows, for whoever must not hold the process up.
 */
export function* verifyDatabase(queries: Queries, meta: Meta): Generator<number, AuditVerification> {
  const damagedRows = yield* findDamagedRows(queries, meta);
  const { head, brokenAt } = yield* walkChain(queries, meta);
  return {
    entries: head.count,
    head: head.hash,
    intact: brokenAt === null && damagedRows.length === 0,
    brokenAt,
    damagedRows,
  };
}

/** Runs a verification to its end at once. */
export function verifyAtOnce(
  queries: Queries,
  meta: Meta,
  onProgress?: (done: number, total: number) => void,
): AuditVerification {
  const steps = verifyDatabase(queries, meta);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done) return step.value;
    onProgress?.(step.value, meta.chain.count);
  }
}

type Walk = { readonly head: ChainHead; readonly brokenAt: number | null };

function* walkChain(queries: Queries, meta: Meta): Generator<number, Walk> {
  let head: ChainHead = EMPTY_CHAIN;
  const rows = readable(queries.each(queries.build.selectFrom("audit").selectAll().orderBy("number")));
  for (const row of rows) {
    const entry = row && parseEntry(row.content);
    const searchable =
      entry?.number === row?.number &&
      entry?.action === row?.action &&
      entry?.object.kind === row?.object_kind &&
      entry?.object.key === row?.object_key &&
      entry?.object.environment === row?.environment;
    if (!entry || !searchable || !continuesChain(head, entry)) return { head, brokenAt: head.count + 1 };
    head = headAfter(entry);
    if (head.count % ROWS_PER_STEP === 0) yield head.count;
  }
  yield head.count;
  const complete = head.count === meta.chain.count && head.hash === meta.chain.hash;
  return { head, brokenAt: complete ? null : Math.min(head.count, meta.chain.count) + 1 };
}

function parseEntry(content: string): AuditEntry | null {
  try {
    const entry = JSON.parse(content) as Partial<AuditEntry> | null;
    return entry?.object ? (entry as AuditEntry) : null;
  } catch {
    return null;
  }
}

interface CheckedRow {
  readonly table: string;
  readonly key: string;
  readonly content: unknown;
  readonly checksum: Uint8Array;
}

/** What stands for the rest of a table that cannot be read. */
const unreadable = (table: string): CheckedRow => ({ table, key: "*", content: null, checksum: new Uint8Array() });

/** Tables that are no documents, and so not part of the digest. */
const UNCOUNTED: ReadonlySet<string> = new Set(["change", "response", "decision", "delivery"]);

function* findDamagedRows(queries: Queries, meta: Meta): Generator<number, DamagedRow[]> {
  const damaged: DamagedRow[] = [];
  let digest = 0;
  let count = 0;
  for (const { table, key, content, checksum } of checkedRows(queries)) {
    if (++count % ROWS_PER_STEP === 0) yield 0;
    if (typeof content !== "string" || !sameChecksum(checksum, rowChecksum(table, key, content))) {
      if (damaged.length < DAMAGED_ROWS) damaged.push({ table, key });
    } else if (!UNCOUNTED.has(table)) {
      digest = addToDigest(digest, checksum);
    }
  }
  if (damaged.length === 0 && digest !== meta.digest) damaged.push({ table: "meta", key: "digest" });
  return damaged;
}

/** Every row with a checksum, table by table. */
function* checkedRows(queries: Queries): Generator<CheckedRow> {
  const { build } = queries;
  for (const table of ["environment", "flag", "segment", "token", "webhook", "rollout"] as const) {
    for (const row of readable(queries.each(build.selectFrom(table).selectAll()))) {
      yield row ? { table, ...row } : unreadable(table);
    }
  }
  for (const row of readable(queries.each(build.selectFrom("configuration").selectAll()))) {
    const table = "configuration";
    yield row ? { ...row, table, key: `${row.environment}/${row.flag}` } : unreadable(table);
  }
  for (const row of readable(queries.each(build.selectFrom("change").selectAll()))) {
    const table = "change";
    yield row ? { ...row, table, key: `${row.environment}/${row.revision}` } : unreadable(table);
  }
  for (const row of readable(queries.each(build.selectFrom("decision").selectAll()))) {
    const table = "decision";
    yield row ? { ...row, table, key: `${row.rollout}.${row.number}` } : unreadable(table);
  }
  for (const row of readable(queries.each(build.selectFrom("delivery").select(["id", "body", "checksum"])))) {
    const table = "delivery";
    yield row ? { table, key: row.id, content: row.body, checksum: row.checksum } : unreadable(table);
  }
  for (const row of readable(queries.each(build.selectFrom("response").selectAll()))) {
    const table = "response";
    yield row ? { ...row, table, key: `${row.token}/${row.key}` } : unreadable(table);
  }
}

/** The rows as far as SQLite can read them, and null for the rest if it cannot. */
function* readable<Row>(rows: Iterable<Row>): Generator<Row | null> {
  try {
    yield* rows;
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith("SQLITE_CORRUPT")) throw error;
    yield null;
  }
}
