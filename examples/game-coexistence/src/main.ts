import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createFlags, type Flags } from "@bunting/sdk";
import { type FlagServer, startFlagServer } from "./flag-server.ts";
import { Game } from "./game.ts";
import { createGameFlag } from "./game-flag.ts";
import { metricsFor } from "./metrics.ts";
import { baseline } from "./phases/baseline.ts";
import { canary } from "./phases/canary.ts";
import { collection } from "./phases/collection.ts";
import { emergency } from "./phases/emergency.ts";
import { gate } from "./phases/gate.ts";
import { migration } from "./phases/migration.ts";
import type { Stage } from "./phases/stage.ts";
import { threeWay } from "./phases/three-way.ts";
import { POPULATION } from "./population.ts";
import { Report } from "./report.ts";
import { Scorecard } from "./scorecard.ts";
import { readSettings, type Settings } from "./settings.ts";

/** Seconds of the scenario. */
const UNUSED_SECONDS = 10;

const PHASES: readonly (readonly [string, (stage: Stage) => Promise<void>])[] = [
  ["PHASE 0: Baseline (0-10 s)", baseline],
  ["PHASE 1: Canary (10-40 s)", canary],
  ["PHASE 2: Progressive migration (40-80 s)", migration],
  ["PHASE 3: Garbage collection (80-100 s)", collection],
  ["PHASE 4: Emergency rollback (100-120 s)", emergency],
  ["PHASE 5: Three versions side by side (120-150 s)", threeWay],
];

const settings = settingsOrExit();
const unusedSeconds = UNUSED_SECONDS * settings.pace;
const report = new Report(new Scorecard(metricsFor({ unusedSeconds })), (line) => console.log(line));
const defects: string[] = [];
for (const event of ["uncaughtException", "unhandledRejection"])
  process.on(event, (error) => defects.push(String(error)));

const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-game-"));
let server: FlagServer | undefined;
/** One to begin with; two where a rollout is to reach more than one process. */
const games: Game[] = [];
const clients: Flags[] = [];
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    console.log(`\nInterrupted by ${signal}.`);
    void cleanUp().finally(() => process.exit(1));
  });
}
try {
  report.title(`Three versions of the game's logic, ${POPULATION} players, pace ${settings.pace}`);
  server = await startFlagServer(folder);
  const flag = createGameFlag(server);
  await flag.create();
  const game = await open(server);
  report.say("server", server.url);
  for (const [title, phase] of PHASES) {
    report.chapter(title);
    await phase({ game, flag, report, settings });
  }
  if (settings.gate) {
    report.chapter("PHASE 6: The same by evidence, for every process");
    await gate({ game, flag, report, settings }, await open(server));
  }
  report.say("audit", `${await flag.auditedChanges()} changes of the flag, each with its author and its receipt`);
} catch (error) {
  defects.push(String(error));
} finally {
  await cleanUp();
}
const crashes = [...games.flatMap((game) => game.crashes), ...defects];
for (const crash of crashes) report.say("crash", crash);
report.measure("crashes", crashes.length);
report.end();
process.exit(report.card.isPassed ? 0 : 1);

/** A game with an SDK and a connection of its own, as if it ran on a machine of its own. */
async function open({ url, sdkToken }: FlagServer): Promise<Game> {
  const flags = createFlags({ url, token: sdkToken, instance: `game-${games.length + 1}`, cacheFile: false });
  clients.push(flags);
  const game = new Game({ flags, v2: settings.v2, unusedSeconds });
  games.push(game);
  await flags.ready({ timeoutMs: 10_000 });
  return game;
}

async function cleanUp(): Promise<void> {
  await Promise.all(games.map((game) => game.close()));
  await Promise.all(clients.map((client) => client.close()));
  await server?.close();
  await rm(folder, { recursive: true, force: true });
}

function settingsOrExit(): Settings {
  try {
    return readSettings(process.argv.slice(2));
  } catch (error) {
    console.error(`Cannot play the scenario: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}
