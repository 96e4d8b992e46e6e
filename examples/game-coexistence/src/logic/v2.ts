import type { VersionModule } from "@bunting/versions";
import { type CollidingPoint, isOutside, isSane, isTouching, type Mutable, type Point, type Step } from "./body.ts";

/** Movement, and collisions: with the walls, and of each body with each other. */
export function createModule(): VersionModule<CollidingPoint, Step> {
  const points = new Map<string, Mutable<CollidingPoint>>();

  function detectCollisions(moved: readonly Mutable<CollidingPoint>[], fault: Step["fault"]): Uint16Array {
    if (fault === "exception") throw new Error("Collision detection divided by a distance of zero");
    while (fault === "stall");
    if (fault === "corruption") for (const point of points.values()) point.vx = Number.NaN;
    const contacts = new Uint16Array(moved.length);
    for (const [index, point] of moved.entries()) {
      point.collided = isOutside(point);
      for (const other of moved)
        if (other !== point && isTouching(point, other)) contacts[index] = (contacts[index] ?? 0) + 1;
    }
    return contacts;
  }

  return {
    version: "v2",
    migratesFrom: ["v1", "v3"],
    process({ input: { seconds, fault }, entities }) {
      const moved = entities.map((entity) => {
        const point = points.get(entity);
        if (point === undefined) throw new Error(`"${entity}" is not here`);
        point.x += point.vx * seconds;
        point.y += point.vy * seconds;
        return point;
      });
      return { logic: new Uint8Array(entities.length).fill(2), contacts: detectCollisions(moved, fault) };
    },
    getState: (entity) => ({ ...(points.get(entity) as CollidingPoint) }),
    setState: (entity, point) => void points.set(entity, { ...point }),
    removeState: (entity) => void points.delete(entity),
    checkState: isSane,
    migrateStateFrom(version, state) {
      const { x, y, vx, vy } = state as Point;
      return { x, y, vx, vy, collided: version === "v1" ? false : (state as CollidingPoint).collided };
    },
  };
}
