import type { Entity } from "./entity.ts";
import type { Fleet } from "./fleet.ts";
import { migrationPath } from "./lifecycle/migration-path.ts";
import { isOut } from "./lifecycle/version-life.ts";
import type { Listeners } from "./listeners.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Clock } from "./ports.ts";
import type { VersionEntry } from "./version-entry.ts";
import type { VersionThread } from "./version-thread.ts";
import type { Adopted, Stated } from "./worker/protocol.ts";

/** Entities of one version that are to go to another. */
export interface Slice {
  readonly from: VersionEntry;
  readonly to: VersionEntry;
  readonly entities: readonly Entity[];
  /** `return`: where there is no migration back, the state from before they had moved will do. */
  readonly kind: "advance" | "return";
}

export interface Moved {
  readonly movedCount: number;
  readonly savedCount: number;
  readonly refusedCount: number;
  readonly refusal: string | null;
  /** How long the slice had no version that would have processed it. */
  readonly pauseMs: number;
}

type CarriedOver =
  | { readonly ok: true; readonly states: readonly unknown[] }
  | { readonly ok: false; readonly refusal: string };

/** Brings entities from version to version, and back from those that broke. One call at a time. */
export class Mover {
  private readonly fleet: Fleet;
  private readonly options: ResolvedOptions;
  private readonly clock: Clock;
  private readonly listeners: Listeners;

  constructor(fleet: Fleet, options: ResolvedOptions, { clock, listeners }: { clock: Clock; listeners: Listeners }) {
    this.fleet = fleet;
    this.options = options;
    this.clock = clock;
    this.listeners = listeners;
  }

  /**
   * Drained from the old version, migrated, restored in the new one, and only when that has acknowledged the state is the old
   * one told to forget it. If the new one breaks, nothing has happened to them; if the old one does, the states are in hand.
   */
  async move(slice: Slice): Promise<Moved> {
    const { from, to, kind } = slice;
    const startedAt = this.clock.monotonic();
    // Who was planned to move may have been rescued to somewhere else in the meantime.
    const entities = slice.entities.filter(({ move }) => move.name === "resident" && move.at === from.name);
    if (entities.length === 0) return nothing(0);
    for (const entity of entities) entity.happened({ type: "depart", to: to.name });
    const drained = await this.ask(from, (thread, deadlineMs) =>
      thread.ask<"drain">({ type: "drain", entities: entities.map(({ name }) => name) }, deadlineMs),
    );
    if (drained === undefined) {
      for (const entity of entities) entity.happened({ type: "refused" });
      return nothing(entities.length);
    }
    const states = new Map(drained.states.map(({ entity, state }) => [entity, state]));
    for (const entity of entities) entity.happened({ type: "drained" });
    for (const entity of entities) {
      entity.backup = { version: from.name, state: states.get(entity.name) };
      entity.joinedAt = from.batchCount;
    }

    const { thread } = to;
    const adopted = await this.adopt(to, from.name, drained);
    const back = kind === "return" ? await this.adoptSaved(to, refusedOf(adopted, entities)) : [];
    const moved = this.acknowledge(to, entities, to.thread === thread ? [...adopted, ...back] : []);
    for (const entity of moved) entity.saved.set(from.name, states.get(entity.name));
    const refusal = reasonOf(adopted, to);
    const pauseMs = this.clock.monotonic() - startedAt;
    const names = moved.map(({ name }) => name);
    const released = await this.ask(from, (thread, deadlineMs) =>
      thread.ask<"release">({ type: "release", entities: names }, deadlineMs),
    );
    // Where it broke instead, the entities have been told already that it is gone.
    if (released !== undefined) for (const entity of moved) entity.happened({ type: "released" });

    const durationMs = this.clock.monotonic() - startedAt;
    const refusedCount = entities.length - moved.length;
    const counts = { movedCount: moved.length, refusedCount, refusal: refusedCount === 0 ? null : refusal };
    const savedCount = back.filter((one) => one.kind === "adopted").length;
    const what = { from: from.name, to: to.name, ...counts, restoredFromSavedCount: savedCount };
    this.listeners.tell("move", { ...what, durationMs, at: this.clock.now() });
    return { ...counts, savedCount, pauseMs };
  }

  /** All or none: whoever was adopted is given back if one was refused. */
  async moveTogether(slice: Slice): Promise<Moved> {
    const { from, to, entities } = slice;
    const names = entities.map(({ name }) => name);
    const drained = await this.ask(from, (thread, deadlineMs) =>
      thread.ask<"drain">({ type: "drain", entities: names }, deadlineMs),
    );
    if (drained === undefined) return nothing(entities.length);
    const tried = await this.adopt(to, from.name, drained);
    const refused = tried.find((one) => one.kind === "refused");
    await this.ask(to, (thread, deadlineMs) => thread.ask<"release">({ type: "release", entities: names }, deadlineMs));
    if (refused !== undefined || tried.length < entities.length) {
      return {
        ...nothing(entities.length),
        refusal: refused?.kind === "refused" ? refused.message : `${to.name} broke.`,
      };
    }
    return await this.move(slice);
  }

  /**
   * Brings the states of all members into another thread of the same version. The old thread keeps them, and stays the one that
   * counts: what the caller makes of it is its affair.
   *
   * @returns Their states, in the order of the members.
   */
  async carryOver(entry: VersionEntry, to: VersionThread): Promise<CarriedOver> {
    const { deadlineMs, moveSlice } = this.options.limits;
    const members = [...entry.members];
    const carried: unknown[] = [];
    for (let start = 0; start < members.length; start += moveSlice) {
      const entities = members.slice(start, start + moveSlice).map(({ name }) => name);
      const drained = await this.ask(entry, (thread) => thread.ask<"drain">({ type: "drain", entities }, deadlineMs));
      if (drained === undefined) return { ok: false, refusal: "its thread broke on the way" };
      const adopted = await to.ask<"adopt">({ type: "adopt", from: entry.name, ...drained }, deadlineMs);
      if (!adopted.ok) return { ok: false, refusal: adopted.failure.message };
      for (const one of adopted.answer) {
        if (one.kind === "refused") return { ok: false, refusal: `${one.entity}: ${one.message}` };
        carried.push(one.state);
      }
    }
    return { ok: true, states: carried };
  }

  /** Restores stranded entities from what is kept of them. */
  async restore(to: VersionEntry, entities: readonly Entity[]): Promise<{ readonly savedCount: number }> {
    for (const entity of entities) entity.happened({ type: "rescue", to: to.name });
    const { thread } = to;
    const adopted: Adopted[number][] = [];
    for (const [version, group] of groupBy(entities, ({ backup }) => backup.version)) {
      const states = group.map(({ name, backup }): Stated => ({ entity: name, state: backup.state }));
      adopted.push(...(await this.adopt(to, version, { states, sums: [] })));
    }
    const back = await this.adoptSaved(to, refusedOf(adopted, entities));
    for (const { saved, backup } of entities) saved.set(backup.version, backup.state);
    // What a version took that broke before it had taken all is gone with it.
    this.acknowledge(to, entities, to.thread === thread ? [...adopted, ...back] : []);
    return { savedCount: back.filter((one) => one.kind === "adopted").length };
  }

  /**
   * What becomes of the entities that were offered to a version. In the order of the answers, which is the order in which it
   * has put them into its roster: ours must be the same.
   */
  private acknowledge(
    to: VersionEntry,
    entities: readonly Entity[],
    answers: readonly Adopted[number][],
  ): readonly Entity[] {
    const offered = new Map(entities.map((entity) => [entity.name, entity]));
    const moved: Entity[] = [];
    for (const one of answers) {
      const entity = offered.get(one.entity);
      if (one.kind === "refused" || entity === undefined) continue;
      offered.delete(one.entity);
      const from = this.fleet.entries.get(entity.backup.version);
      entity.happened({ type: "adopted" });
      from?.leave(entity);
      to.join(entity);
      if (from !== undefined && from !== to) entity.previous = from.name;
      entity.backup = { version: to.name, state: one.state };
      entity.refusedBy.clear();
      moved.push(entity);
    }
    for (const entity of offered.values()) {
      entity.refusedBy.add(to.name);
      entity.happened({ type: "refused" });
    }
    return moved;
  }

  /**
   * Asks a version's thread. A version that fails at it is out, with all that follows from that.
   *
   * @returns undefined if it failed.
   */
  private async ask<Answer>(
    entry: VersionEntry,
    question: (thread: NonNullable<VersionEntry["thread"]>, deadlineMs: number) => Promise<Asking<Answer>>,
  ): Promise<Answer | undefined> {
    const { thread } = entry;
    if (thread === null) return undefined;
    const asked = await question(thread, this.options.limits.deadlineMs);
    if (asked.ok) {
      entry.heapBytes = asked.heapBytes;
      return asked.answer;
    }
    this.fleet.broke(entry, asked.failure);
    return undefined;
  }

  /** Empty if `to` broke on the way. */
  private async adopt(
    to: VersionEntry,
    from: string,
    { states, sums }: { readonly states: readonly Stated[]; readonly sums: readonly number[] },
  ): Promise<readonly Adopted[number][]> {
    const path = await this.pathTo(to, from);
    if (path === null) {
      const message = `No migration leads from ${from} to ${to.name}.`;
      return states.map(({ entity }) => ({ entity, kind: "refused", message }));
    }
    const refused: Adopted[number][] = [];
    let [current, at]: [readonly Stated[], string] = [states, from];
    for (const version of path.slice(0, -1)) {
      const through = this.fleet.get(version);
      if (!isOut(through.life) && through.thread === null) await this.fleet.load(through);
      const source = at;
      const asking = current;
      const converted = await this.ask(through, (thread, deadlineMs) =>
        thread.ask<"convert">({ type: "convert", from: source, states: asking }, deadlineMs),
      );
      const answers =
        converted ?? asking.map(({ entity }) => ({ entity, kind: "refused" as const, message: `${version} broke.` }));
      refused.push(...answers.filter((one) => one.kind === "refused"));
      current = answers.flatMap((one) => (one.kind === "adopted" ? [{ entity: one.entity, state: one.state }] : []));
      at = version;
    }
    const [last, source] = [current, at];
    const expected = source === from ? sums : [];
    const adopted =
      last.length === 0
        ? []
        : await this.ask(to, (thread, deadlineMs) =>
            thread.ask<"adopt">({ type: "adopt", from: source, states: last, sums: expected }, deadlineMs),
          );
    return [...refused, ...(adopted ?? [])];
  }

  /** What a version takes is known once it was loaded; where no way is known, those are loaded that were not yet. */
  private async pathTo(to: VersionEntry, from: string): Promise<readonly string[] | null> {
    const known = this.path(to, from);
    if (known !== null) return known;
    for (const entry of this.fleet.entries.values()) {
      if (entry.migratesFrom === undefined && this.fleet.isUsable(entry.name)) await this.fleet.load(entry);
    }
    return this.path(to, from);
  }

  private path(to: VersionEntry, from: string): readonly string[] | null {
    const entries = [...this.fleet.entries.values()];
    const declared = entries.flatMap(({ name, migratesFrom }) =>
      migratesFrom === undefined ? [] : [[name, migratesFrom] as const],
    );
    return migrationPath(from, to.name, new Map(declared));
  }

  private async adoptSaved(to: VersionEntry, entities: readonly Entity[]): Promise<readonly Adopted[number][]> {
    const states = entities
      .filter(({ saved }) => saved.has(to.name))
      .map(({ name, saved }): Stated => ({ entity: name, state: saved.get(to.name) }));
    if (states.length === 0) return [];
    return await this.adopt(to, to.name, { states, sums: [] });
  }
}

type Asking<Answer> =
  | { readonly ok: true; readonly answer: Answer; readonly heapBytes: number }
  | { readonly ok: false; readonly failure: Parameters<Fleet["broke"]>[1] };

function refusedOf(adopted: readonly Adopted[number][], entities: readonly Entity[]): readonly Entity[] {
  const refused = new Set(adopted.filter((one) => one.kind === "refused").map(({ entity }) => entity));
  return entities.filter(({ name }) => refused.has(name));
}

function reasonOf(answers: readonly Adopted[number][], to: VersionEntry): string {
  const refused = answers.find((one) => one.kind === "refused");
  return refused?.kind === "refused" ? refused.message : `${to.name} broke.`;
}

function nothing(count: number): Moved {
  return { movedCount: 0, savedCount: 0, refusedCount: count, refusal: "the version broke", pauseMs: 0 };
}

export function groupBy<Item, Key>(items: Iterable<Item>, keyOf: (item: Item) => Key): ReadonlyMap<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
