/** Values by entity, in the order of the batch. Typed arrays cross threads as one block of memory; anything else is cloned. */
export type Column =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | readonly unknown[];

export type Columns = Readonly<Record<string, Column>>;

/** One step of all entities that a version holds, or of some of them. */
export interface Batch<Input = unknown> {
  /** The same for every entity. */
  readonly input: Input;
  readonly entities: readonly string[];
  /** What differs by entity: `columns.x[i]` belongs to `entities[i]`. */
  readonly columns: Columns;
  /** Says that one entity could not be processed. It counts against the version, and the others go on. */
  readonly fail: (index: number) => void;
}

/**
 * What a version is. Its file exports `createModule(): VersionModule`; the state of its entities lives in it, in a thread of
 * its own, and leaves it through `getState` only.
 */
export interface VersionModule<State = unknown, Input = unknown, Config = unknown> {
  /** Checked against the name that the file is loaded under. */
  readonly version?: string;
  /** The versions whose state `migrateStateFrom` takes. Others are brought here by way of these. */
  readonly migratesFrom?: readonly string[];
  initialize?(config: Config): void | Promise<void>;
  /** Advances each entity of the batch once. May answer columns in the order of the batch's entities. */
  process(batch: Batch<Input>): Columns | void | Promise<Columns | void>;
  /**
   * Names of other versioned modules that this one builds on, as the option `dependencies` has them: a version is not loaded
   * where one is missing, and is loaded again after one of them was. What it imports needs no mention.
   */
  getDependencies?(): readonly string[];
  /** A value that can be cloned to another thread, and that holds all there is to the entity. MUST NOT change it. */
  getState(entity: string): State;
  /** Takes the entity over, or replaces its state. `getState` MUST answer an equal value afterwards. */
  setState(entity: string, state: State): void;
  /** The entity is somewhere else now. */
  removeState(entity: string): void;
  /** This version's state from another version's, or null if there is no way. May throw for a state that makes no sense. */
  migrateStateFrom?(fromVersion: string, state: unknown): State | null;
  /** Whether a state makes sense. Asked at each checkpoint, and of everything that is restored. */
  checkState?(state: State): boolean;
  /** Changes the running code or its parameters. False: this patch cannot be applied while running. */
  applyPatch?(patch: unknown): boolean | Promise<boolean>;
  /** False: this configuration needs a new load. */
  updateConfig?(config: Config): boolean | Promise<boolean>;
}

/** Helps the compiler to infer a version's types; returns what it is given. */
export function defineVersion<State, Input, Config>(
  module: VersionModule<State, Input, Config>,
): VersionModule<State, Input, Config> {
  return module;
}
