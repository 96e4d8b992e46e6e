import type { Failure } from "../errors.ts";
import type { Columns } from "../version-module.ts";

/*
 * What the host asks of a version's thread. Each request is answered once, in order. Whatever concerns many entities is one
 * message: a batch of 100,000 costs as many messages as a batch of one.
 *
 * There and back for 100,000 entities on two busy cores, median of 30: objects of four numbers 480 ms, their names 54 ms, a
 * plain array of numbers 26 ms, a typed array 2.3 ms cloned and 0.06 ms handed over. So a batch holds typed arrays that are
 * handed over, and slots instead of names. Memory that both sides share would save the 0.06 ms, and let a version write into
 * what is not its own.
 */

export interface Stated {
  readonly entity: string;
  readonly state: unknown;
}

export type Request =
  | { readonly type: "load"; readonly version: string; readonly url: string; readonly config: unknown }
  | {
      readonly type: "process";
      readonly input: unknown;
      /** Indexes into the roster, or null for all of it in its order. */
      readonly slots: Uint32Array | null;
      readonly columns: Columns;
      /** Whether the answer brings the states of the whole roster. */
      readonly checkpoint: boolean;
    }
  | { readonly type: "checkpoint" }
  /** Hands out states; the entities stay until they are released. */
  | { readonly type: "drain"; readonly entities: readonly string[] }
  /** Takes entities over, from the states of another version or its own. */
  | {
      readonly type: "adopt";
      readonly from: string;
      readonly states: readonly Stated[];
      readonly sums: readonly number[];
    }
  | { readonly type: "release"; readonly entities: readonly string[] }
  /** Migrates states without keeping them: a step between two other versions. */
  | { readonly type: "convert"; readonly from: string; readonly states: readonly Stated[] }
  | { readonly type: "patch"; readonly patch: unknown }
  | { readonly type: "configure"; readonly config: unknown };

export interface Loaded {
  readonly migratesFrom: readonly string[] | null;
  readonly dependencies: readonly string[];
}

export interface Processed {
  /** Indexes into the batch. */
  readonly failed: readonly number[];
  readonly columns: Columns;
  readonly processMs: number;
  /** In the order of the roster. */
  readonly states: readonly unknown[] | null;
}

export interface Drained {
  readonly states: readonly Stated[];
  /** Checksums in the same order, taken where the states lived. */
  readonly sums: readonly number[];
}

/** By entity: the state that it has here, or why it was refused. */
export type Adopted = readonly (
  | { readonly entity: string; readonly kind: "adopted"; readonly state: unknown }
  | { readonly entity: string; readonly kind: "refused"; readonly message: string }
)[];

export interface Answers {
  readonly load: Loaded;
  readonly process: Processed;
  readonly checkpoint: { readonly states: readonly unknown[] };
  readonly drain: Drained;
  readonly adopt: Adopted;
  readonly release: null;
  readonly convert: Adopted;
  readonly patch: boolean;
  readonly configure: boolean;
}

export type RequestType = Request["type"];
export type RequestOf<Type extends RequestType> = Extract<Request, { readonly type: Type }>;

export type Reply = { readonly heapBytes: number } & (
  | { readonly ok: true; readonly answer: Answers[RequestType] }
  | { readonly ok: false; readonly failure: Failure }
);
