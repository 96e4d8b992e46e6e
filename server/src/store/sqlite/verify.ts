import type { AuditEntry, AuditVerification } from "@bunting/contracts";
import Database from "better-sqlite3";
import { sql } from "kysely";
import { type ChainHead, continuesChain, EMPTY_CHAIN, headAfter } from "../../audit/chain.ts";
import type { Meta } from "./meta.ts";
import type { Queries } from "./queries.ts";
import { addToDigest, rowChecksum, sameChecksum } from "./row-checksum.ts";

type DamagedRow = AuditVerification["damagedRows"][number];

/** Damaged rows that are named; more would add nothing to the decision to restore. */
const DAMAGED_ROWS = 1_000;
const ROWS_PER_STEP = 200;

/**
 * Walks the whole audit chain and every row with a checksum. Reports, and does not throw for what it finds. Yields the number
 * of audit entries done every few hundred rows, for whoever must not hold the process up. Between two steps anything may be
 * committed: no statement stays open over a step, a row is judged as it is when it is read, and what must add up is compared
 * in one step with the meta row of that moment.
 */
export function* verifyDatabase(queries: Queries, meta: () => Meta): Generator<number, AuditVerification> {
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

type Walk = { readonly head: ChainHead; readonly brokenAt: number | null };

function* walkChain(queries: Queries, meta: () => Meta): Generator<number, Walk> {
  let head: ChainHead = EMPTY_CHAIN;
  const after = (place: Place) =>
    queries.build.selectFrom("audit").selectAll().select(ROWID.as("place")).where(ROWID, ">", place);
  for (const page of pagesOf((place) => queries.all(after(place).orderBy(ROWID).limit(ROWS_PER_STEP)))) {
    if (page === null) return { head, brokenAt: head.count + 1 };
    for (const row of page) {
      const entry = parseEntry(row.content);
      const searchable =
        entry?.number === row.number &&
        entry.action === row.action &&
        entry.object.kind === row.object_kind &&
        entry.object.key === row.object_key &&
        entry.object.environment === row.environment;
      if (!entry || !searchable || !continuesChain(head, entry)) return { head, brokenAt: head.count + 1 };
      head = headAfter(entry);
    }
    // Not after the last page: what is appended before the comparison would be missed.
    if (page.length === ROWS_PER_STEP) yield head.count;
  }
  const { chain } = meta();
  const complete = head.count === chain.count && head.hash === chain.hash;
  return { head, brokenAt: complete ? null : Math.min(head.count, chain.count) + 1 };
}

function parseEntry(content: string): AuditEntry | null {
  try {
    const entry = JSON.parse(content) as Partial<AuditEntry> | null;
    return entry?.object ? (entry as AuditEntry) : null;
  } catch {
    return null;
  }
}

/** Tables whose rows have a checksum: what their checksums cover, and whether the digest adds them up. */
const CHECKED = {
  environment: { key: "key", content: "content", isDocument: true },
  flag: { key: "key", content: "content", isDocument: true },
  segment: { key: "key", content: "content", isDocument: true },
  token: { key: "key", content: "content", isDocument: true },
  webhook: { key: "key", content: "content", isDocument: true },
  rollout: { key: "key", content: "content", isDocument: true },
  configuration: { key: "environment || '/' || flag", content: "content", isDocument: true },
  change: { key: "environment || '/' || revision", content: "content", isDocument: false },
  decision: { key: "rollout || '.' || number", content: "content", isDocument: false },
  delivery: { key: "id", content: "body", isDocument: false },
  response: { key: "token || '/' || key", content: "content", isDocument: false },
} as const;
type CheckedTable = keyof typeof CHECKED;
const TABLES = Object.keys(CHECKED) as readonly CheckedTable[];

function* findDamagedRows(queries: Queries, meta: () => Meta): Generator<number, DamagedRow[]> {
  const damaged: DamagedRow[] = [];
  const digestBefore = meta().digest;
  let digest = 0;
  for (const table of TABLES) {
    for (const page of pagesOf((after) => queries.all(rowsOf(queries, table, after)))) {
      for (const { key, content, checksum } of page ?? [{ key: "*", content: null, checksum: new Uint8Array() }]) {
        if (typeof content !== "string" || !sameChecksum(checksum, rowChecksum(table, key, content))) {
          if (damaged.length < DAMAGED_ROWS) damaged.push({ table, key });
        } else if (CHECKED[table].isDocument) digest = addToDigest(digest, checksum);
      }
      yield 0;
    }
  }
  // What was committed meanwhile may have been read before or after, or both: then everything is added up at once.
  if (meta().digest !== digestBefore) digest = addUp(queries);
  if (damaged.length === 0 && digest !== meta().digest) damaged.push({ table: "meta", key: "digest" });
  return damaged;
}

function rowsOf({ build }: Queries, table: CheckedTable, after: Place) {
  const { key, content } = CHECKED[table];
  return build
    .selectFrom(table as "flag")
    .select([
      ROWID.as("place"),
      sql<string>`${sql.raw(key)}`.as("key"),
      sql<unknown>`${sql.ref(content)}`.as("content"),
    ])
    .select("checksum")
    .where(ROWID, ">", after)
    .orderBy(ROWID)
    .limit(ROWS_PER_STEP);
}

/** The digest from the checksums alone, which the rows were compared with before. */
function addUp(queries: Queries): number {
  let digest = 0;
  for (const table of TABLES.filter((name) => CHECKED[name].isDocument)) {
    for (const { checksum } of queries.all(queries.build.selectFrom(table as "flag").select("checksum"))) {
      digest = addToDigest(digest, checksum);
    }
  }
  return digest;
}

/** Of a row in its table, in the order in which they are read. A row that is replaced meanwhile moves to the end. */
type Place = number | bigint;
const ROWID = sql<Place>`rowid`;
const BEFORE_ALL: Place = -(2n ** 63n);

/** A table page by page, each read when it is asked for; and null for the rest if SQLite cannot read it. */
function* pagesOf<Row extends { readonly place: Place }>(
  read: (after: Place) => readonly Row[],
): Generator<readonly Row[] | null> {
  for (let last: Row | undefined; ; ) {
    let page: readonly Row[];
    try {
      page = read(last?.place ?? BEFORE_ALL);
    } catch (error) {
      if (!(error instanceof Database.SqliteError) || !error.code.startsWith("SQLITE_CORRUPT")) throw error;
      yield null;
      return;
    }
    yield page;
    last = page.at(-1);
    if (page.length < ROWS_PER_STEP) return;
  }
}
