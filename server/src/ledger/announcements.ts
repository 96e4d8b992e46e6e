import type { Cancel, Logger } from "../ports.ts";

/** Tells listeners of messages, each message to all of them before the next one. */
export class Announcements<Messages extends Readonly<Record<string, unknown>>> {
  readonly #logger: Logger;
  readonly #listeners = new Map<keyof Messages, Set<(message: never) => void>>();
  readonly #waiting: (() => void)[] = [];
  #announcing = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  listen<Topic extends keyof Messages>(topic: Topic, listener: (message: Messages[Topic]) => void): Cancel {
    const listeners = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /**
   * In the order of the calls, also when a listener causes another message: that one waits until everybody has heard this
   * one, else the listeners behind would hear the second first.
   */
  announce<Topic extends keyof Messages>(topic: Topic, message: Messages[Topic]): void {
    this.#waiting.push(() => this.#tell(topic, message));
    if (this.#announcing) return;
    this.#announcing = true;
    try {
      for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) next();
    } finally {
      this.#announcing = false;
    }
  }

  /** A listener that fails must not fail the change, which is durable, nor the listeners after it. */
  #tell<Topic extends keyof Messages>(topic: Topic, message: Messages[Topic]): void {
    for (const listener of this.#listeners.get(topic) ?? []) {
      try {
        (listener as (message: Messages[Topic]) => void)(message);
      } catch (error) {
        this.#logger.error({ error }, "A listener of the ledger failed.");
      }
    }
  }
}
