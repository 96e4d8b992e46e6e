import type { Flags } from "@bunting/sdk";
import { createVersionedModule, type MoveReport, type RollbackReport, type VersionedModule } from "@bunting/versions";
import { FLAG } from "./game-flag.ts";
import type { Fault, Point, Step } from "./logic/body.ts";
import { createPopulation, draftsOf, POPULATION } from "./population.ts";
import { Twin } from "./twin.ts";
import { pause } from "./until.ts";

const FRAMES_PER_SECOND = 60;

const SECONDS = 1 / FRAMES_PER_SECOND;

export interface GameOptions {
  readonly flags: Flags;
  readonly v2: URL;
  readonly unusedSeconds: number;
}

/** A version that ended because nobody used it. */
export interface Collection {
  readonly version: string;
  readonly durationMs: number;
  /** Since the last player has left. */
  readonly idleMs: number;
}

/** Frames since somebody last asked. */
export interface Frames {
  readonly count: number;
  /** The fewest and the most entities that were advanced in one of them. */
  readonly fewest: number;
  readonly most: number;
  readonly byVersion: Readonly<Record<string, number>>;
}

/** A running game: a hundred players, advanced sixty times a second by whichever version each of them is with. */
export class Game {
  readonly logic: VersionedModule<Step>;
  readonly twin: Twin;
  /** By version, of its last load. */
  readonly loadMs = new Map<string, number>();
  readonly moves: MoveReport[] = [];
  readonly rollbacks: RollbackReport[] = [];
  readonly collections: Collection[] = [];
  /** What went wrong and was not meant to. */
  readonly crashes: string[] = [];
  readonly unusedSeconds: number;
  /** What the next frame brings about, once. */
  fault: Fault | undefined;
  private readonly points: ReadonlyMap<string, Point> = createPopulation();
  private readonly listening: readonly (() => void)[];
  private movedAt = 0;
  private frames: Frames = NO_FRAMES;
  private life: "still" | "running" = "still";
  private loop: Promise<void> = Promise.resolve();

  constructor({ flags, v2, unusedSeconds }: GameOptions) {
    this.unusedSeconds = unusedSeconds;
    this.logic = createVersionedModule<Step>({
      flags,
      flag: FLAG,
      versions: { v1: new URL("./logic/v1.ts", import.meta.url), v2, v3: new URL("./logic/v3.ts", import.meta.url) },
      // Every state after every frame: a hundred of them cost nothing, and whatever breaks, no frame is lost.
      checkpointEveryMs: 0,
      limits: { maintenanceMs: 100 },
    });
    this.twin = new Twin(this.points);
    this.listening = [
      this.logic.on("load", ({ version, loadMs }) => void this.loadMs.set(version, loadMs)),
      this.logic.on("move", (move) => {
        this.moves.push(move);
        this.movedAt = performance.now();
      }),
      this.logic.on("rollback", (rollback) => void this.rollbacks.push(rollback)),
      this.logic.on("unload", (unload) => {
        if (unload.cause === "collected")
          this.collections.push({ ...unload, idleMs: performance.now() - this.movedAt });
      }),
      this.logic.on("failure", ({ version, code, message }) => {
        if (this.fault === undefined) this.crashes.push(`${version} ${code}: ${message}`);
      }),
      this.logic.on("problem", ({ code, message }) => void this.crashes.push(`${code}: ${message}`)),
    ];
  }

  async populate(): Promise<void> {
    await this.logic.addEntities(draftsOf(this.points));
  }

  start(): void {
    if (this.life === "running") return;
    this.life = "running";
    this.loop = this.run();
  }

  async stop(): Promise<void> {
    this.life = "still";
    await this.loop;
  }

  /** Between two frames: whatever the task looks at stands still meanwhile. */
  async between<Result>(task: () => Promise<Result>): Promise<Result> {
    await this.stop();
    try {
      return await task();
    } finally {
      this.start();
    }
  }

  /** One frame, of all players or of some. */
  async frame(entities?: readonly string[]): Promise<void> {
    const { fault } = this;
    const result = await this.logic.process({ seconds: SECONDS, fault }, { entities });
    // What was asked for in the meantime is the next frame's.
    if (fault !== undefined) this.fault = undefined;
    this.twin.advance(entities ?? this.logic.entities(), result.columns.logic, SECONDS);
    if (entities === undefined) this.frames = addFrame(this.frames, result);
  }

  /** The frames since the last call. */
  takeFrames(): Frames {
    const { frames } = this;
    this.frames = NO_FRAMES;
    return frames;
  }

  /** How many players each version has. */
  population(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const entity of this.logic.entities()) {
      const version = this.logic.versionOf(entity) ?? "none";
      counts[version] = (counts[version] ?? 0) + 1;
    }
    return counts;
  }

  /** How many players are exactly where and what they should be. */
  async intactCount(): Promise<number> {
    return await this.between(async () => this.twin.intact(await this.logic.getState()).length);
  }

  async close(): Promise<void> {
    await this.stop();
    for (const stop of this.listening) stop();
    await this.logic.close();
  }

  private async run(): Promise<void> {
    let next = performance.now();
    while (this.life === "running") {
      try {
        await this.frame();
      } catch (error) {
        this.crashes.push(String(error));
      }
      // A frame that came late is not made up for.
      next = Math.max(performance.now(), next + SECONDS * 1_000);
      await pause(next - performance.now());
    }
  }
}

const NO_FRAMES: Frames = { count: 0, fewest: POPULATION, most: POPULATION, byVersion: {} };

function addFrame(
  frames: Frames,
  { processedCount, byVersion }: { processedCount: number; byVersion: Frames["byVersion"] },
): Frames {
  const sums: Record<string, number> = { ...frames.byVersion };
  for (const [version, count] of Object.entries(byVersion)) sums[version] = (sums[version] ?? 0) + count;
  return {
    count: frames.count + 1,
    fewest: Math.min(frames.fewest, processedCount),
    most: Math.max(frames.most, processedCount),
    byVersion: sums,
  };
}
