import { type Failure, type FailureCode, VersionError } from "../errors.ts";
import type { Batch, Columns, VersionModule } from "../version-module.ts";
import { checksumOf } from "./checksum.ts";
import type { Adopted, Answers, Reply, Request, RequestOf, Stated } from "./protocol.ts";
import { Roster } from "./roster.ts";

/** What a servant needs of the thread it lives in. */
export interface Surroundings {
  /** The exports of a file. */
  load(url: string): Promise<unknown>;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** What this thread has in use: heap, and what hangs outside of it. */
  heapBytes(): number;
}

/** Serves one version in its thread: does what the host asks, and trusts the version with nothing but its own data. */
export class Servant {
  private readonly around: Surroundings;
  /** Who is here. */
  readonly roster = new Roster();
  /** Of entities as they were last seen, so that a change by nobody is noticed. */
  private readonly sums = new Map<string, number>();
  private readonly touched = new Set<string>();
  private allTouched = false;
  private module: VersionModule | null = null;
  private own = "";

  constructor(around: Surroundings) {
    this.around = around;
  }

  /** Never rejects. The caller asks one thing at a time. */
  async answer(request: Request): Promise<Reply> {
    try {
      const answer = await this.serve(request);
      return { ok: true, answer, heapBytes: this.around.heapBytes() };
    } catch (error) {
      return { ok: false, failure: failureOf(error, request.type), heapBytes: this.around.heapBytes() };
    }
  }

  private serve(request: Request): Answers[Request["type"]] | Promise<Answers[Request["type"]]> {
    switch (request.type) {
      case "load":
        return this.load(request);
      case "process":
        return this.process(request);
      case "checkpoint":
        return { states: this.checkpoint() };
      case "drain":
        return this.drain(request.entities);
      case "adopt":
        return this.adopt(request);
      case "release":
        for (const entity of request.entities) this.release(entity);
        return null;
      case "convert":
        return request.states.map((stated) => this.convert(request.from, stated));
      case "patch":
        return this.loaded.applyPatch?.(request.patch) ?? false;
      case "configure":
        return this.loaded.updateConfig?.(request.config) ?? false;
    }
  }

  private get loaded(): VersionModule {
    if (this.module === null) throw new VersionError("version_not_loaded", "Nothing was loaded into this thread.");
    return this.module;
  }

  private async load({ version, url, config }: RequestOf<"load">): Promise<Answers["load"]> {
    const module = moduleOf(await this.around.load(url));
    this.own = version;
    if (module.version !== undefined && module.version !== version) {
      throw new VersionError("version_mismatch", `${url} says that it is "${module.version}", not "${version}".`);
    }
    await module.initialize?.(config);
    this.module = module;
    return { migratesFrom: module.migratesFrom ?? null, dependencies: module.getDependencies?.() ?? [] };
  }

  private async process(request: RequestOf<"process">): Promise<Answers["process"]> {
    const { entities } = this.roster;
    const named =
      request.slots === null ? this.roster.snapshot() : Array.from(request.slots, (slot) => entities[slot] as string);
    const failed = new Set<number>();
    const batch: Batch = {
      input: request.input,
      entities: named,
      columns: request.columns,
      fail: (index) => void (index >= 0 && index < named.length && failed.add(index)),
    };
    if (request.slots === null) this.allTouched = true;
    else for (const entity of named) this.touched.add(entity);
    const startedAt = this.around.monotonic();
    const columns = checkColumns(await this.loaded.process(batch), named.length);
    const processMs = this.around.monotonic() - startedAt;
    return { failed: [...failed], columns, processMs, states: request.checkpoint ? this.checkpoint() : null };
  }

  /** The states of all, each checked: what was not in a batch since the last time must be what it was. */
  private checkpoint(): readonly unknown[] {
    const states = this.roster.entities.map((entity) => this.stateOf(entity));
    for (const [slot, entity] of this.roster.entities.entries()) {
      // With every entity in every batch, nothing can be told apart from its work, and the sums are not worth their time.
      if (this.allTouched) this.sums.delete(entity);
      else this.audit(entity, states[slot]);
    }
    this.touched.clear();
    this.allTouched = false;
    return states;
  }

  private drain(entities: readonly string[]): Answers["drain"] {
    const states = entities.map((entity): Stated => ({ entity, state: this.stateOf(entity) }));
    return {
      states,
      sums: states.map(({ entity, state }) => (this.allTouched ? checksumOf(state) : this.audit(entity, state))),
    };
  }

  private audit(entity: string, state: unknown): number {
    const sum = checksumOf(state);
    const known = this.sums.get(entity);
    if (known !== undefined && known !== sum && !this.touched.has(entity)) {
      throw new VersionError("state_corrupt", `The state of "${entity}" changed although it was in no batch.`);
    }
    this.sums.set(entity, sum);
    return sum;
  }

  private stateOf(entity: string): unknown {
    let state: unknown;
    let isSound = true;
    try {
      state = this.loaded.getState(entity);
      isSound = this.loaded.checkState?.(state) ?? true;
    } catch (error) {
      throw new VersionError("state_corrupt", `The state of "${entity}" cannot be read: ${messageOf(error)}`);
    }
    if (state === undefined) throw new VersionError("state_corrupt", `The state of "${entity}" is missing.`);
    if (!isSound)
      throw new VersionError("state_corrupt", `The state of "${entity}" makes no sense to its own version.`);
    return state;
  }

  private adopt({ from, states, sums }: RequestOf<"adopt">): Adopted {
    return states.map((stated, index) => {
      const sum = sums[index];
      if (sum !== undefined && checksumOf(stated.state) !== sum) {
        return { entity: stated.entity, kind: "refused", message: "The state was damaged on its way." };
      }
      const converted = this.convert(from, stated);
      return converted.kind === "refused" ? converted : this.settle(stated.entity, converted.state);
    });
  }

  private convert(from: string, { entity, state }: Stated): Adopted[number] {
    try {
      const own = from === this.own ? state : (this.loaded.migrateStateFrom?.(from, state) ?? null);
      if (own === null) return { entity, kind: "refused", message: `There is no migration from ${from}.` };
      return { entity, kind: "adopted", state: own };
    } catch (error) {
      return { entity, kind: "refused", message: `The migration from ${from} threw: ${messageOf(error)}` };
    }
  }

  /** Restores, and reads back: only a state that arrived is acknowledged. */
  private settle(entity: string, state: unknown): Adopted[number] {
    try {
      const sum = checksumOf(state);
      this.loaded.setState(entity, state);
      const there = this.stateOf(entity);
      if (checksumOf(there) !== sum) throw new Error("what is there is not what was restored");
      this.roster.add(entity);
      this.sums.set(entity, sum);
      return { entity, kind: "adopted", state: there };
    } catch (error) {
      this.release(entity);
      return { entity, kind: "refused", message: `The state could not be restored: ${messageOf(error)}` };
    }
  }

  private release(entity: string): void {
    this.roster.remove(entity);
    this.sums.delete(entity);
    this.touched.delete(entity);
    this.loaded.removeState(entity);
  }
}

/** Checks what a file exports. */
function moduleOf(exports: unknown): VersionModule {
  const create =
    typeof exports === "object" && exports !== null && "createModule" in exports ? exports.createModule : null;
  if (typeof create !== "function")
    throw new VersionError("bad_exports", "The file exports no function `createModule`.");
  const module: unknown = create();
  const missing = ["process", "getState", "setState", "removeState"].find(
    (name) => typeof (module as Record<string, unknown> | null)?.[name] !== "function",
  );
  if (missing !== undefined)
    throw new VersionError("bad_exports", `What createModule made has no function \`${missing}\`.`);
  return module as VersionModule;
}

function checkColumns(answered: Columns | undefined | void, length: number): Columns {
  if (answered === undefined) return {};
  for (const [name, column] of Object.entries(answered)) {
    if (!(Array.isArray(column) || ArrayBuffer.isView(column)) || column.length !== length) {
      throw new VersionError("process_threw", `Column "${name}" of the answer does not have ${length} values.`);
    }
  }
  return answered;
}

const BY_REQUEST: { readonly [Type in Request["type"]]: FailureCode } = {
  load: "load_failed",
  process: "process_threw",
  checkpoint: "state_corrupt",
  drain: "state_corrupt",
  adopt: "process_threw",
  release: "process_threw",
  convert: "process_threw",
  patch: "process_threw",
  configure: "process_threw",
};

function failureOf(error: unknown, type: Request["type"]): Failure {
  if (error instanceof VersionError) return { code: error.code as FailureCode, message: error.message };
  return { code: BY_REQUEST[type], message: messageOf(error) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
