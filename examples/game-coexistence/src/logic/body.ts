/** What the first version knows of an entity: a point that moves. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly vx: number;
  readonly vy: number;
}

/** Since the second version. */
export interface CollidingPoint extends Point {
  readonly collided: boolean;
}

/** Since the third. */
export interface Mass extends CollidingPoint {
  readonly mass: number;
}

/** Something that can go wrong in the second version's collision detection. */
export type Fault = "exception" | "stall" | "corruption";

/** What a frame tells each version. */
export interface Step {
  readonly seconds: number;
  /** Stands for a bug that shows under some condition only. Versions that do not have it take no notice. */
  readonly fault?: Fault | undefined;
}

/** The same, while a version works on it. */
export type Mutable<Shape> = { -readonly [Name in keyof Shape]: Shape[Name] };

export const FIELD_SIZE = 1_000;

/** Closer than this, two bodies touch. */
export const REACH = 20;

export function isOutside({ x, y }: Point): boolean {
  return x < 0 || x > FIELD_SIZE || y < 0 || y > FIELD_SIZE;
}

export function isTouching(a: Point, b: Point): boolean {
  return (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < REACH ** 2;
}

/** Whether all of it can be calculated with. */
export function isSane({ x, y, vx, vy }: Point): boolean {
  return [x, y, vx, vy].every(Number.isFinite);
}
