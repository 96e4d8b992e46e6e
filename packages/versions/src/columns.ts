import { VersionError } from "./errors.ts";
import type { Column, Columns } from "./version-module.ts";

/** @throws VersionError `columns_invalid` */
export function checkColumns(columns: Columns, length: number): Columns {
  for (const [name, column] of Object.entries(columns)) {
    if ((Array.isArray(column) || ArrayBuffer.isView(column)) && column.length === length) continue;
    throw new VersionError(
      "columns_invalid",
      `Column "${name}" does not have one value for each of ${length} entities.`,
    );
  }
  return columns;
}

/** The part of each column that these places of the batch are, as memory of its own that may be handed over. */
export function gather(columns: Columns, places: Uint32Array): Columns {
  const parts: Record<string, Column> = {};
  for (const [name, column] of Object.entries(columns)) {
    const part = makeLike(column, places.length);
    for (let index = 0; index < places.length; index += 1) part[index] = column[places[index] as number];
    parts[name] = part as Column;
  }
  return parts;
}

/** The columns of a whole batch, put together from the parts as they come in. */
export class Assembly {
  private readonly length: number;
  private readonly columns: Record<string, Writable> = {};

  constructor(length: number) {
    this.length = length;
  }

  /** Places that nobody answers for hold 0, or undefined where the column is no typed array. */
  scatter(parts: Columns, places: Uint32Array): void {
    for (const [name, part] of Object.entries(parts)) {
      const whole = this.wholeFor(name, part);
      for (let index = 0; index < places.length; index += 1) whole[places[index] as number] = part[index];
    }
  }

  get result(): Columns {
    return this.columns as Record<string, Column>;
  }

  /** Versions may answer in different types: what holds both is a plain array. */
  private wholeFor(name: string, part: Column): Writable {
    const known = this.columns[name];
    if (known === undefined) return (this.columns[name] = makeLike(part, this.length));
    if (known.constructor === part.constructor) return known;
    return (this.columns[name] = Array.from(known as ArrayLike<unknown>));
  }
}

type Writable = { [index: number]: unknown; readonly length: number };
type TypedConstructor = new (length: number) => Writable;

function makeLike(column: Column, length: number): Writable {
  if (!ArrayBuffer.isView(column)) return Array.from({ length });
  return new (column.constructor as TypedConstructor)(length);
}
