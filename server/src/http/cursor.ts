import type { Refusal } from "../ledger/command.ts";
import { invalidField } from "./problem.ts";

/*
 * A cursor is the key of the last item that was seen, wrapped so that nobody builds one by hand. What is inserted or removed
 * meanwhile shifts nothing: the next page begins after that key, whether or not it still exists.
 */

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

export type Paged<Item> =
  | { readonly ok: true; readonly page: Page<Item> }
  | { readonly ok: false; readonly refusal: Refusal };

export interface PageRequest {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** One page of `items` in the order of their keys (by UTF-16 code unit, so the same on every machine). */
export function pageByKey<Item>(
  items: Iterable<Item>,
  keyOf: (item: Item) => string,
  request: PageRequest,
): Paged<Item> {
  const after = request.cursor === undefined ? null : decodeCursor(request.cursor);
  if (after === undefined) return { ok: false, refusal: badCursor() };
  const rest: { key: string; item: Item }[] = [];
  for (const item of items) {
    const key = keyOf(item);
    if (after === null || key > after) rest.push({ key, item });
  }
  rest.sort((one, other) => (one.key < other.key ? -1 : 1));
  const shown = rest.slice(0, request.limit);
  const last = shown.at(-1);
  const nextCursor = rest.length > shown.length && last ? encodeCursor(last.key) : null;
  return { ok: true, page: { items: shown.map(({ item }) => item), nextCursor } };
}

export function encodeCursor(key: string): string {
  return Buffer.from(`1${key}`).toString("base64url");
}

/** Undefined where this is no cursor of ours. */
export function decodeCursor(cursor: string): string | undefined {
  const text = Buffer.from(cursor, "base64url").toString();
  return text.startsWith("1") && encodeCursor(text.slice(1)) === cursor ? text.slice(1) : undefined;
}

export function badCursor(): Refusal {
  return invalidField("query.cursor", "Send the nextCursor of an earlier page, unchanged, or leave it out.");
}
