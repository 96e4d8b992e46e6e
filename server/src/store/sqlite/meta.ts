import type Database from "better-sqlite3";
import type { ChainHead } from "../../audit/chain.ts";
import { rowChecksum, sameChecksum } from "./row-checksum.ts";

/** The one row that makes a file a Bunting database, and says what the rest must add up to. */
export interface Meta {
  readonly application: "bunting";
  readonly schema: number;
  readonly epoch: string;
  /** Sum of the checksums of all documents. */
  readonly digest: number;
  readonly chain: ChainHead;
  readonly entryFormat: number;
}

type Read = { readonly found: "meta"; readonly meta: Meta } | { readonly found: "empty" | "foreign" | "damaged" };

/** Written in plain SQL, for it must work before any migration and on databases of other versions. */
export function readMeta(database: Database.Database): Read {
  const tables = database.prepare("SELECT count(*) FROM sqlite_master").pluck().get();
  if (tables === 0) return { found: "empty" };
  const known = database.prepare("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'").pluck();
  if (known.get() === 0) return { found: "foreign" };
  const row = database.prepare("SELECT content, checksum FROM meta WHERE id = 1").get() as
    | { content: unknown; checksum: unknown }
    | undefined;
  if (typeof row?.content !== "string") return { found: "damaged" };
  if (!sameChecksum(row.checksum, rowChecksum("meta", "1", row.content))) return { found: "damaged" };
  const meta = JSON.parse(row.content) as Meta;
  return meta.application === "bunting" ? { found: "meta", meta } : { found: "foreign" };
}

export function writeMeta(database: Database.Database, meta: Meta): void {
  const content = JSON.stringify(meta);
  database
    .prepare("INSERT OR REPLACE INTO meta (id, content, checksum) VALUES (1, ?, ?)")
    .run(content, rowChecksum("meta", "1", content));
}
