import type { Migration } from "./migration.ts";

/*
 * Documents are JSON text with a checksum beside it: SHA-256 over table, key and content (see sqlite/row-checksum.ts). Tables
 * are STRICT, so that a flipped bit cannot turn TEXT into a BLOB of the same bytes.
 *
 * `meta` keeps this shape for ever: it is how an older binary recognises a newer database.
 */
export const initial: Migration = {
  version: 1,
  name: "initial",
  statements: [
    `CREATE TABLE meta (
       id INTEGER PRIMARY KEY CHECK (id = 1),
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    `CREATE TABLE environment (
       key TEXT PRIMARY KEY,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    `CREATE TABLE flag (
       key TEXT PRIMARY KEY,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    `CREATE TABLE configuration (
       environment TEXT NOT NULL REFERENCES environment (key),
       flag TEXT NOT NULL REFERENCES flag (key),
       content TEXT NOT NULL,
       checksum BLOB NOT NULL,
       PRIMARY KEY (environment, flag)
     ) STRICT`,
    `CREATE TABLE segment (
       key TEXT PRIMARY KEY,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    `CREATE TABLE token (
       key TEXT PRIMARY KEY,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    // Moves outside of audited changes, so it has neither a checksum nor a part in the digest.
    `CREATE TABLE token_use (
       token TEXT PRIMARY KEY REFERENCES token (key),
       at INTEGER NOT NULL
     ) STRICT`,
    `CREATE TABLE change (
       environment TEXT NOT NULL REFERENCES environment (key),
       revision INTEGER NOT NULL,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL,
       PRIMARY KEY (environment, revision)
     ) STRICT`,
    // The columns beside content are for searching; verification compares them with it.
    `CREATE TABLE audit (
       number INTEGER PRIMARY KEY,
       action TEXT NOT NULL,
       object_kind TEXT NOT NULL,
       object_key TEXT NOT NULL,
       environment TEXT,
       content TEXT NOT NULL
     ) STRICT`,
    "CREATE INDEX audit_by_object ON audit (object_key, number)",
    "CREATE INDEX audit_by_environment ON audit (environment, number)",
    `CREATE TABLE response (
       token TEXT NOT NULL,
       key TEXT NOT NULL,
       at INTEGER NOT NULL,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL,
       PRIMARY KEY (token, key)
     ) STRICT`,
    "CREATE INDEX response_by_age ON response (at)",
  ],
};
