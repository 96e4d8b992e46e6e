/*
 * A process for crash.sqlite.test.ts to kill. It says on its standard output what was acknowledged, one line each.
 */
import { writeSync } from "node:fs";
import { createNodeClock, createNodeRandom, createNodeScheduler } from "../platform/node.ts";
import { MIGRATIONS } from "../store/migrations/index.ts";
import { NEXT_MIGRATION } from "../store/migrations/next-migration-fixture.ts";
import { actor, createFlag, createTestLogger, patchOf } from "./ledger-fixture.ts";
import { type LedgerOptions, openLedger } from "./open-ledger.ts";

const die = (): never => {
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
};

/** Dies at the call with this number. */
const dieAt = (fatal: number) => {
  let count = 0;
  return (): void => {
    if (++count === fatal) die();
  };
};

function open(dataDir: string, options: Partial<LedgerOptions> = {}) {
  return openLedger({
    dataDir,
    pepper: null,
    clock: createNodeClock(),
    random: createNodeRandom(),
    scheduler: createNodeScheduler(),
    logger: createTestLogger().logger,
    ballastBytes: 64 * 1024,
    ...options,
  });
}

const say = (line: string): void => void writeSync(1, `${line}\n`);

const PROGRAMS: Readonly<Record<string, (dataDir: string, argument: number) => void>> = {
  /** Dies before a statement of the migration. */
  migrate(dataDir, statement) {
    open(dataDir, {
      migrations: [...MIGRATIONS, NEXT_MIGRATION],
      failpoints: { onMigrationStatement: dieAt(statement) },
    });
    say("migrated");
  },
  /** Writes for ever; each line is a change that was acknowledged. */
  write(dataDir, start) {
    const { ledger } = open(dataDir);
    for (let index = start; ; index++) {
      const created = ledger.execute(createFlag(`f${index}`), actor());
      if (created.ok) say(`f${index}`);
      const split = { on: index % 100, off: 100 - (index % 100) };
      const changed = ledger.execute(patchOf(`f${index}`, { fallthrough: { split } }), actor());
      if (changed.ok) say(`f${index} ${index % 100}`);
    }
  },
  /** Dies between the commit of a repeatable request and its answer. */
  respond(dataDir) {
    const { ledger } = open(dataDir, { failpoints: { afterCommit: die } });
    ledger.execute(createFlag("once"), actor(), {
      key: "k",
      digest: "d",
      respond: () => ({ status: 201, body: '{"key":"once"}', headers: {} }),
    });
    say("answered");
  },
};

const [program = "", dataDir = "", argument = "0"] = process.argv.slice(2);
PROGRAMS[program]?.(dataDir, Number(argument));
