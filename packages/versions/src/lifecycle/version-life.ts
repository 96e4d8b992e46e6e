import type { Failure } from "../errors.ts";

/*
 * The life of a version in this process, as a pure function.
 *
 *   absent ──load──► loading ──loaded──► ready ──retire──► retiring ──emptied──► absent
 *                       │                  │ └──condemn──► condemned ──emptied──► failed
 *                       └──broke──► failed ◄──broke── any that has a thread;   failed ──load──► loading
 *
 * `condemned` is out of service and sound: its thread answers, so its entities leave with the state they have now. `failed`
 * has no thread, and nothing that it said last is believed but its checkpoint. Neither is routed to until it is loaded again.
 */

export type VersionLife =
  | { readonly name: "absent" }
  | { readonly name: "loading" }
  | { readonly name: "ready" }
  | { readonly name: "retiring" }
  | { readonly name: "condemned"; readonly failure: Failure }
  | { readonly name: "failed"; readonly failure: Failure };

export type VersionLifeName = VersionLife["name"];

export type VersionEvent =
  | { readonly type: "load" }
  | { readonly type: "loaded" }
  /** Its thread is gone, or must go at once. */
  | { readonly type: "broke"; readonly failure: Failure }
  /** It works, and does its work badly. */
  | { readonly type: "condemn"; readonly failure: Failure }
  | { readonly type: "retire" }
  /** Nobody is with it any more. */
  | { readonly type: "emptied" };

export type VersionEffect = "start_thread" | "end_thread" | "evacuate" | "rescue";

export interface VersionStep {
  readonly life: VersionLife;
  readonly effects: readonly VersionEffect[];
}

type LifeOf<Name extends VersionLifeName> = Extract<VersionLife, { readonly name: Name }>;
type EventOf<Type extends VersionEvent["type"]> = Extract<VersionEvent, { readonly type: Type }>;

type Table = {
  readonly [Name in VersionLifeName]: {
    readonly [Type in VersionEvent["type"]]: (life: LifeOf<Name>, event: EventOf<Type>) => VersionStep;
  };
};

export const ABSENT: VersionLife = { name: "absent" };

export function nextLife(life: VersionLife, event: VersionEvent): VersionStep {
  // Row and life, column and event belong together: the type of TABLE guarantees it, which no cast-free look-up can show.
  const cell = TABLE[life.name][event.type] as (life: VersionLife, event: VersionEvent) => VersionStep;
  return cell(life, event);
}

/** Whether entities may be brought to it. */
export function isServing(life: VersionLife): boolean {
  return life.name === "ready";
}

/** Whether a thread runs it. */
export function hasThread(life: VersionLife): boolean {
  return life.name === "ready" || life.name === "retiring" || life.name === "condemned";
}

/** Whether it is out of service until somebody loads it again. */
export function isOut(life: VersionLife): boolean {
  return life.name === "failed" || life.name === "condemned";
}

const stay = (life: VersionLife): VersionStep => ({ life, effects: [] });
const start = (): VersionStep => ({ life: { name: "loading" }, effects: ["start_thread"] });
const fail = (_life: VersionLife, { failure }: EventOf<"broke">): VersionStep => ({
  life: { name: "failed", failure },
  effects: ["end_thread", "rescue"],
});

const TABLE: Table = {
  absent: { load: start, loaded: stay, broke: stay, condemn: stay, retire: stay, emptied: stay },
  loading: {
    load: stay,
    loaded: () => stay({ name: "ready" }),
    broke: (_life, { failure }) => ({ life: { name: "failed", failure }, effects: ["end_thread"] }),
    condemn: stay,
    retire: () => ({ life: ABSENT, effects: ["end_thread"] }),
    emptied: stay,
  },
  ready: {
    load: stay,
    loaded: stay,
    broke: fail,
    condemn: (_life, { failure }) => ({ life: { name: "condemned", failure }, effects: ["evacuate"] }),
    retire: () => ({ life: { name: "retiring" }, effects: ["evacuate"] }),
    emptied: stay,
  },
  retiring: {
    load: () => stay({ name: "ready" }),
    loaded: stay,
    broke: fail,
    condemn: (_life, { failure }) => stay({ name: "condemned", failure }),
    retire: stay,
    emptied: () => ({ life: ABSENT, effects: ["end_thread"] }),
  },
  condemned: {
    load: () => stay({ name: "ready" }),
    loaded: stay,
    broke: fail,
    condemn: stay,
    retire: stay,
    emptied: ({ failure }) => ({ life: { name: "failed", failure }, effects: ["end_thread"] }),
  },
  failed: { load: start, loaded: stay, broke: stay, condemn: stay, retire: () => stay(ABSENT), emptied: stay },
};
