import type { VersionModule } from "@bunting/versions";
import { type CollidingPoint, isOutside, isSane, type Mass, type Mutable, type Step } from "./body.ts";
import { countContacts } from "./spatial-hash.ts";

const GRAVITY = 9.8;

/** Bodies with a mass, which fall; and collisions by way of a spatial hash, so that only neighbours are compared. */
export function createModule(): VersionModule<Mass, Step> {
  const bodies = new Map<string, Mutable<Mass>>();
  return {
    version: "v3",
    // What `collided` was is the second version's affair: a state of the first comes by way of that.
    migratesFrom: ["v2"],
    process({ input: { seconds }, entities }) {
      const moved = entities.map((entity) => {
        const body = bodies.get(entity);
        if (body === undefined) throw new Error(`"${entity}" is not here`);
        body.vy += GRAVITY * seconds;
        body.x += body.vx * seconds;
        body.y += body.vy * seconds;
        body.collided = isOutside(body);
        return body;
      });
      return { logic: new Uint8Array(entities.length).fill(3), contacts: countContacts(moved) };
    },
    getState: (entity) => ({ ...(bodies.get(entity) as Mass) }),
    setState: (entity, body) => void bodies.set(entity, { ...body }),
    removeState: (entity) => void bodies.delete(entity),
    checkState: (body) => isSane(body) && body.mass > 0,
    migrateStateFrom: (_version, state) => ({ ...(state as CollidingPoint), mass: 1 }),
  };
}
