import Sqlite from "better-sqlite3";
import type { GameEvent, Session } from "./session.ts";
import { prunableUpTo } from "./session.ts";

/** The truth about sessions. Everything in Redis is a copy of something in here, or an older one. */
export interface Database {
  insert(session: Session): void;
  session(id: string): Session | undefined;
  /** Events after `after`, ascending. */
  events(id: string, after: number): GameEvent[];
  /**
   * Reads the session, asks `decide` what becomes of it and stores that, in one transaction. Events that everyone has
   * acknowledged are removed in the same transaction.
   */
  change<Outcome extends { readonly session: Session; readonly event?: GameEvent }>(
    id: string,
    decide: (session: Session) => Outcome,
  ): Outcome | undefined;
  /** Events kept for a replay, over all sessions. */
  backlog(): number;
  /** The same bytes at each start: the key that resume tokens are signed with. Made from `fresh` the first time. */
  secret(fresh: Buffer): Buffer;
  close(): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS event (
    session TEXT NOT NULL REFERENCES session (id), sequence INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (session, sequence)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS secret (only INTEGER PRIMARY KEY CHECK (only = 1), bytes BLOB NOT NULL) STRICT;
`;

export function openDatabase(file: string): Database {
  const sqlite = new Sqlite(file);
  sqlite.pragma("journal_mode = WAL");
  sqlite.exec(SCHEMA);

  const text = <Parameters extends unknown[]>(sql: string) => sqlite.prepare<Parameters, string>(sql).pluck();
  const selectSession = text<[string]>("SELECT document FROM session WHERE id = ?");
  const selectEvents = text<[string, number]>(
    "SELECT document FROM event WHERE session = ? AND sequence > ? ORDER BY sequence",
  );
  const insertSession = sqlite.prepare<[string, string]>("INSERT INTO session VALUES (?, ?)");
  const updateSession = sqlite.prepare<[string, string]>("UPDATE session SET document = ? WHERE id = ?");
  const insertEvent = sqlite.prepare<[string, number, string]>("INSERT INTO event VALUES (?, ?, ?)");
  const deleteEvents = sqlite.prepare<[string, number]>("DELETE FROM event WHERE session = ? AND sequence <= ?");
  const countEvents = sqlite.prepare<[], number>("SELECT count(*) FROM event").pluck();

  const readSession = (id: string): Session | undefined => {
    const document = selectSession.get(id);
    return document === undefined ? undefined : (JSON.parse(document) as Session);
  };
  const store = (before: Session, after: Session, event: GameEvent | undefined): void => {
    if (after.version === before.version) return;
    updateSession.run(JSON.stringify(after), after.id);
    if (event) insertEvent.run(after.id, event.sequence, JSON.stringify(event));
    if (prunableUpTo(after) > prunableUpTo(before)) deleteEvents.run(after.id, prunableUpTo(after));
  };

  return {
    insert: (session) => void insertSession.run(session.id, JSON.stringify(session)),
    session: readSession,
    events: (id, after) => selectEvents.all(id, after).map((document) => JSON.parse(document) as GameEvent),
    change(id, decide) {
      const transaction = sqlite.transaction(() => {
        const before = readSession(id);
        if (!before) return undefined;
        const outcome = decide(before);
        store(before, outcome.session, outcome.event);
        return outcome;
      });
      return transaction.immediate();
    },
    backlog: () => countEvents.get() ?? 0,
    secret(fresh) {
      sqlite.prepare<[Buffer]>("INSERT OR IGNORE INTO secret VALUES (1, ?)").run(fresh);
      return sqlite.prepare<[], Buffer>("SELECT bytes FROM secret").pluck().get() ?? fresh;
    },
    close: () => void sqlite.close(),
  };
}
