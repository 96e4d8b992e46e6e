import type { VersionModule } from "@bunting/versions";

interface Point {
  x: number;
  vx: number;
}

/** As little work per entity as a module can do, so that what is measured is the way there and back. */
export function createModule(): VersionModule<Point, { readonly seconds: number }> {
  const points = new Map<string, Point>();
  return {
    migratesFrom: ["v1", "v2"],
    process({ input: { seconds }, entities }) {
      const x = new Float64Array(entities.length);
      for (let index = 0; index < entities.length; index += 1) {
        const point = points.get(entities[index] as string) as Point;
        point.x += point.vx * seconds;
        x[index] = point.x;
      }
      return { x };
    },
    getState: (entity) => ({ ...(points.get(entity) as Point) }),
    setState: (entity, point) => void points.set(entity, { ...point }),
    removeState: (entity) => void points.delete(entity),
    migrateStateFrom: (_version, state) => state as Point,
  };
}
