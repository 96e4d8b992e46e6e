import type { VersionModule } from "@bunting/versions";
import { isSane, type Mutable, type Point, type Step } from "./body.ts";

/** Movement, and nothing else. */
export function createModule(): VersionModule<Point, Step> {
  const points = new Map<string, Mutable<Point>>();
  return {
    version: "v1",
    migratesFrom: ["v2", "v3"],
    process({ input: { seconds }, entities }) {
      for (const entity of entities) {
        const point = points.get(entity);
        if (point === undefined) throw new Error(`"${entity}" is not here`);
        point.x += point.vx * seconds;
        point.y += point.vy * seconds;
      }
      return { logic: new Uint8Array(entities.length).fill(1) };
    },
    getState: (entity) => ({ ...(points.get(entity) as Point) }),
    setState: (entity, point) => void points.set(entity, { ...point }),
    removeState: (entity) => void points.delete(entity),
    checkState: isSane,
    // Later versions know more. What this one does not know, it forgets.
    migrateStateFrom(_version, state) {
      const { x, y, vx, vy } = state as Point;
      return { x, y, vx, vy };
    },
  };
}
