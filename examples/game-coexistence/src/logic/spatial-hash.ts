import { isTouching, type Point, REACH } from "./body.ts";

const NOBODY = -1;

/**
 * How many others each body touches. The plane is divided into squares as wide as a body's reach, so whoever touches a body
 * is in its square or in one of the eight around it. Squares are slots of a table, and whoever is in a slot is a chain through
 * `next`: nothing is allocated per square, and a body is compared with its neighbours only.
 */
export function countContacts(bodies: readonly Point[]): Uint16Array {
  const count = bodies.length;
  const mask = 2 ** Math.ceil(Math.log2(Math.max(1, count) * 2)) - 1;
  const heads = new Int32Array(mask + 1).fill(NOBODY);
  const next = new Int32Array(count);
  const columns = new Int32Array(count);
  const rows = new Int32Array(count);
  const contacts = new Uint16Array(count);
  for (let index = 0; index < count; index += 1) {
    const body = bodies[index] as Point;
    const [column, row] = [Math.floor(body.x / REACH), Math.floor(body.y / REACH)];
    columns[index] = column;
    rows[index] = row;
    for (let x = column - 1; x <= column + 1; x += 1) {
      for (let y = row - 1; y <= row + 1; y += 1) {
        let other = heads[slotOf(x, y) & mask] as number;
        for (; other !== NOBODY; other = next[other] as number) {
          // Squares share slots: without a look at the square a body would be met twice.
          if (columns[other] !== x || rows[other] !== y || !isTouching(body, bodies[other] as Point)) continue;
          contacts[index] = (contacts[index] as number) + 1;
          contacts[other] = (contacts[other] as number) + 1;
        }
      }
    }
    // Only now: each pair is met once, by the later of the two.
    const slot = slotOf(column, row) & mask;
    next[index] = heads[slot] as number;
    heads[slot] = index;
  }
  return contacts;
}

/** Two large primes spread neighbours over the table (Teschner et al., Optimized Spatial Hashing, 2003). */
function slotOf(column: number, row: number): number {
  return Math.imul(column, 73_856_093) ^ Math.imul(row, 19_349_663);
}
