import { MIGRATIONS } from "./index.ts";
import type { Migration } from "./migration.ts";

/** A made-up next step of the schema, for tests of migrating. */
export const NEXT_MIGRATION: Migration = {
  version: MIGRATIONS.length + 1,
  name: "next",
  statements: [
    "CREATE TABLE added (a TEXT) STRICT",
    "ALTER TABLE token_use ADD COLUMN note TEXT",
    "DROP INDEX response_by_age",
  ],
};
