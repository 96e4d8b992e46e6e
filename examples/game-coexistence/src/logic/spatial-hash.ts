import { isTouching, type Point, REACH } from "./body.ts";

/**
 * How many others each body touches. The plane is divided into squares as wide as a body's reach, so whoever touches a body
 * is in its square or in one of the eight around it.
 */
export function countContacts(bodies: readonly Point[]): Uint16Array {
  const squares = new Map<number, Point[]>();
  for (const body of bodies) {
    const key = keyOf(squareOf(body.x), squareOf(body.y));
    const inside = squares.get(key);
    if (inside === undefined) squares.set(key, [body]);
    else inside.push(body);
  }
  const contacts = new Uint16Array(bodies.length);
  for (const [index, body] of bodies.entries()) contacts[index] = contactsOf(body, squares);
  return contacts;
}

function contactsOf(body: Point, squares: ReadonlyMap<number, readonly Point[]>): number {
  const [column, row] = [squareOf(body.x), squareOf(body.y)];
  let count = 0;
  for (let x = column - 1; x <= column + 1; x += 1) {
    for (let y = row - 1; y <= row + 1; y += 1) {
      // Two squares may share a key: distance decides, so that costs a comparison and nothing else.
      for (const other of squares.get(keyOf(x, y)) ?? []) if (other !== body && isTouching(body, other)) count += 1;
    }
  }
  return count;
}

function squareOf(coordinate: number): number {
  return Math.floor(coordinate / REACH);
}

/** Two coordinates of 26 bits, signs included, in one number that is exact. */
function keyOf(column: number, row: number): number {
  return column * 2 ** 26 + row;
}
