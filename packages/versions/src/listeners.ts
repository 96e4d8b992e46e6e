import { VersionError, type VersionErrorCode } from "./errors.ts";
import type { ModuleEvents } from "./types.ts";

export interface Listeners {
  add<Name extends keyof ModuleEvents>(name: Name, listener: (event: ModuleEvents[Name]) => void): () => void;
  tell<Name extends keyof ModuleEvents>(name: Name, event: ModuleEvents[Name]): void;
}

/** What a listener throws is its own affair: it stops neither the others nor what is being told of. */
export function createListeners(): Listeners {
  const listeners = new Map<keyof ModuleEvents, Set<(event: never) => void>>();
  return {
    add(name, listener) {
      const those = listeners.get(name) ?? new Set();
      listeners.set(name, those);
      those.add(listener);
      return () => void those.delete(listener);
    },
    tell(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          listener(event as never);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}

/** Something went wrong that nobody waits for. */
export function tellProblem(listeners: Listeners, error: unknown, otherwise: VersionErrorCode): void {
  const code = error instanceof VersionError ? error.code : otherwise;
  listeners.tell("problem", { code, message: error instanceof Error ? error.message : String(error) });
}
