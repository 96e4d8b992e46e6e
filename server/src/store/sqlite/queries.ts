import type Database from "better-sqlite3";
import { type Compilable, DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import type { Tables } from "./tables.ts";

/**
 * Kysely builds and types the queries, the driver's synchronous calls run them: kysely's own way is asynchronous, and a
 * transaction that stays open across an `await` takes in whatever else is sent meanwhile.
 */
export class Queries {
  /** Only to build: executing one of its queries does nothing. */
  readonly build: Kysely<Tables> = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (kysely) => new SqliteIntrospector(kysely),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
  readonly #database: Database.Database;
  readonly #statements = new Map<string, Database.Statement<unknown[]>>();

  constructor(database: Database.Database) {
    this.#database = database;
  }

  all<Row>(query: Compilable<Row>): Row[] {
    const { sql, parameters } = query.compile();
    return this.#prepare(sql).all(...parameters) as Row[];
  }

  first<Row>(query: Compilable<Row>): Row | undefined {
    const { sql, parameters } = query.compile();
    return this.#prepare(sql).get(...parameters) as Row | undefined;
  }

  /** Finish or break out at once: an open reader stops checkpoints. */
  each<Row>(query: Compilable<Row>): IterableIterator<Row> {
    const { sql, parameters } = query.compile();
    return this.#prepare(sql).iterate(...parameters) as IterableIterator<Row>;
  }

  run(query: Compilable): void {
    const { sql, parameters } = query.compile();
    this.#prepare(sql).run(...parameters);
  }

  /** The texts of our queries are a fixed set: values are always parameters. */
  #prepare(sql: string): Database.Statement<unknown[]> {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
