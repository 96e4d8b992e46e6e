import type { FlagsEvents } from "./types.ts";

type Listener<Name extends keyof FlagsEvents> = (event: FlagsEvents[Name]) => void;

/** Who wants to know what happens. What a listener throws goes to `failed` and no further (LC-70). */
export interface Listeners {
  add<Name extends keyof FlagsEvents>(name: Name, listener: Listener<Name>): () => void;
  tell<Name extends keyof FlagsEvents>(name: Name, event: FlagsEvents[Name]): void;
}

export function createListeners(failed: (name: string, error: unknown) => void): Listeners {
  const registered = new Map<keyof FlagsEvents, Set<(event: never) => void>>();
  return {
    add(name, listener) {
      // A registration is an identity of its own: the same function may listen twice and stop once.
      const call = (event: never): void => listener(event);
      const listeners = registered.get(name) ?? new Set();
      registered.set(name, listeners.add(call));
      return () => void listeners.delete(call);
    },
    tell(name, event) {
      const listeners = [...(registered.get(name) ?? [])];
      for (const listener of listeners) {
        try {
          listener(event as never);
        } catch (error) {
          failed(name, error);
        }
      }
    },
  };
}
