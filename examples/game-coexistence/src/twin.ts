import type { Column } from "@bunting/versions";
import { isOutside, type Mass, type Mutable, type Point } from "./logic/body.ts";

const GRAVITY = 9.8;

/**
 * What every entity should be by now, calculated a second time and outside of all versions: by which of them it was advanced
 * in each frame decides how it has moved. A state that is lost, mixed up, advanced twice or left behind differs from it.
 */
export class Twin {
  private readonly bodies = new Map<string, Mutable<Mass>>();

  constructor(points: ReadonlyMap<string, Point>) {
    for (const [entity, point] of points) this.bodies.set(entity, { ...point, collided: false, mass: 1 });
  }

  /** @param logic By entity, the number of the version that has advanced it; 0 if none has. */
  advance(entities: readonly string[], logic: Column | undefined, seconds: number): void {
    for (const [index, entity] of entities.entries()) {
      const body = this.bodies.get(entity);
      const version = Number(logic?.[index] ?? 0);
      if (body === undefined || version === 0) continue;
      if (version === 3) body.vy += GRAVITY * seconds;
      body.x += body.vx * seconds;
      body.y += body.vy * seconds;
      // The first version knows nothing of collisions, and forgets those that there have been.
      body.collided = version > 1 && isOutside(body);
    }
  }

  /** Those of the states that are exactly what they should be, as far as their version knows it. */
  intact(states: ReadonlyMap<string, unknown>): readonly string[] {
    return [...states].filter(([entity, state]) => this.isIntact(entity, state)).map(([entity]) => entity);
  }

  private isIntact(entity: string, state: unknown): boolean {
    const expected = this.bodies.get(entity);
    if (expected === undefined || typeof state !== "object" || state === null) return false;
    const { x, y, vx, vy, collided = expected.collided, mass = 1 } = state as Partial<Mass>;
    const isThere = x === expected.x && y === expected.y && vx === expected.vx && vy === expected.vy;
    return isThere && collided === expected.collided && mass === expected.mass;
  }
}
