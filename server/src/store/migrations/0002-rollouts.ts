import type { Migration } from "./migration.ts";

export const rollouts: Migration = {
  version: 2,
  name: "rollouts",
  statements: [
    `CREATE TABLE rollout (
       key TEXT PRIMARY KEY,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL
     ) STRICT`,
    // Grows by one row per look, and is read page by page: a log beside the documents, no part of their digest. The columns
    // beside content are for searching; verification compares them with it.
    `CREATE TABLE decision (
       rollout TEXT NOT NULL REFERENCES rollout (key),
       number INTEGER NOT NULL,
       attempt INTEGER NOT NULL,
       changes INTEGER NOT NULL,
       content TEXT NOT NULL,
       checksum BLOB NOT NULL,
       PRIMARY KEY (rollout, number)
     ) STRICT`,
    "CREATE INDEX decision_by_attempt ON decision (rollout, attempt, changes, number)",
  ],
};
