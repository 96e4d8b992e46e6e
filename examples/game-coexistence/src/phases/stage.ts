import type { TrafficSplit } from "@bunting/versions";
import type { Game } from "../game.ts";
import { type GameFlag, type Receipt, VERSIONS } from "../game-flag.ts";
import type { MetricName } from "../metrics.ts";
import { POPULATION } from "../population.ts";
import { type Report, shares } from "../report.ts";
import type { Settings } from "../settings.ts";
import { pause } from "../until.ts";

/** What a phase has to do with. */
export interface Stage {
  readonly game: Game;
  readonly flag: GameFlag;
  readonly report: Report;
  readonly settings: Settings;
}

/** So many seconds of the scenario go by. The game goes on. */
export async function play({ settings, game, report }: Stage, seconds: number): Promise<void> {
  await pause(seconds * settings.pace * 1_000);
  const { count, fewest, most, byVersion } = game.takeFrames();
  report.say("frames", `${count}, entities advanced by version: ${shares(byVersion)}`);
  report.measure("total_entities", fewest, "fewest in a frame");
  if (most !== fewest) report.measure("total_entities", most, "most in a frame");
}

export async function load({ game, report }: Stage, version: string): Promise<void> {
  // A deployment is not in a hurry: it waits for the thread that is kept ready. An emergency cannot, and finds it there.
  await game.logic.warm();
  await game.logic.loadModuleVersion(version);
  report.measure("version_load_time_ms", game.loadMs.get(version) ?? Number.NaN, version);
}

/**
 * Changes the flag as an operator does. The server pushes it to this process, and whoever belongs elsewhere now moves between
 * two frames.
 */
export async function split(stage: Stage, wanted: TrafficSplit): Promise<void> {
  const { game, flag, report } = stage;
  game.moves.length = 0;
  const receipt = await flag.setSplit(wanted);
  await game.logic.settled();
  game.takeFrames();
  report.say("flag", `${percentages(wanted)}; ${proof(receipt)}`);
  traffic(stage, wanted);
}

/** Who is where, and where they should be. */
export function traffic({ game, report }: Stage, wanted: TrafficSplit): void {
  const counts = game.population();
  report.say("traffic", shares(counts));
  report.measure("traffic_split_accuracy", deviation(counts, wanted));
}

/** By how many points the version that is furthest off misses its share. */
function deviation(counts: Readonly<Record<string, number>>, wanted: TrafficSplit): number {
  const off = VERSIONS.map((version) => Math.abs(((counts[version] ?? 0) * 100) / POPULATION - (wanted[version] ?? 0)));
  return Math.max(...off);
}

/** What the states say, calculated a second time. */
export async function compare(
  { game, report }: Stage,
  name: Extract<MetricName, "migration_data_loss" | "state_recovery">,
): Promise<void> {
  const percent = ((await game.intactCount()) * 100) / POPULATION;
  report.measure(name, name === "state_recovery" ? percent : 100 - percent);
}

/**
 * Lets one version work alone, and looks at what became of everybody else's state. Anything but nothing is a leak between
 * versions.
 */
export async function isolate({ game, report }: Stage, version: string): Promise<void> {
  const isolation = await game.between(async () => {
    const { logic } = game;
    const own = logic.entities().filter((entity) => logic.versionOf(entity) === version);
    const others = logic.entities().filter((entity) => logic.versionOf(entity) !== version);
    const before = await logic.getState(others);
    for (let frame = 0; frame < 10; frame += 1) await game.frame(own);
    const after = await logic.getState(others);
    const untouched = others.filter(
      (entity) => JSON.stringify(before.get(entity)) === JSON.stringify(after.get(entity)),
    );
    return (untouched.length * 100) / others.length;
  });
  report.measure("memory_isolation", isolation, `${version} alone`);
}

export function proof({ revision, applied, connected, latencyMs }: Receipt): string {
  const latency = latencyMs === null ? "" : ` in ${latencyMs.max.toFixed(1)} ms`;
  return `revision ${revision} applied by ${applied}/${connected} instances${latency}`;
}

function percentages(split: TrafficSplit): string {
  return Object.entries(split)
    .map(([version, percent]) => `${version} ${percent} %`)
    .join(", ");
}
