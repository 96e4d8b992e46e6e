import type { Migration } from "./migration.ts";

export const webhooks: Migration = {
  version: 3,
  name: "webhooks",
  statements: [
    `CREATE TABLE webhook (
       key TEXT PRIMARY KEY,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    // The outbox. A row comes to be in the transaction of the change that it tells of; its state moves outside of audited
    // changes, so the checksum covers the body alone, and the table has no part in the digest.
    `CREATE TABLE delivery (
       number INTEGER PRIMARY KEY AUTOINCREMENT,
       id TEXT NOT NULL UNIQUE,
       webhook TEXT NOT NULL REFERENCES webhook (key),
       notification TEXT NOT NULL,
       kind TEXT NOT NULL,
       created_at INTEGER NOT NULL,
       body TEXT NOT NULL,
       checksum BLOB NOT NULL,
       body_bytes INTEGER NOT NULL,
       state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
       try_count INTEGER NOT NULL,
       next_try_at INTEGER,
       last_try TEXT
     ) STRICT`,
    "CREATE INDEX delivery_by_due ON delivery (webhook, next_try_at) WHERE state = 'waiting'",
    "CREATE INDEX delivery_by_number ON delivery (webhook, number)",
  ],
};
