import type { EntityDraft } from "@bunting/versions";
import { FIELD_SIZE, type Point } from "./logic/body.ts";

export const POPULATION = 100;

/** A hundred players all over the field, none at the same place or speed; the same ones in every run. */
export function createPopulation(): ReadonlyMap<string, Point> {
  const points = new Map<string, Point>();
  for (let index = 0; index < POPULATION; index += 1) {
    points.set(`player-${String(index + 1).padStart(3, "0")}`, {
      x: spread(index, 0.618034) * FIELD_SIZE,
      y: spread(index, 0.754878) * FIELD_SIZE,
      vx: (spread(index, 0.819173) - 0.5) * 100,
      vy: (spread(index, 0.569841) - 0.5) * 100,
    });
  }
  return points;
}

export function draftsOf(points: ReadonlyMap<string, Point>): readonly EntityDraft[] {
  return [...points].map(([entity, state]) => ({ entity, state }));
}

/** Multiples of an irrational number, which fill the range from 0 to 1 evenly. */
function spread(index: number, step: number): number {
  return ((index + 1) * step) % 1;
}
