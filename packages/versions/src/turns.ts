import { VersionError } from "./errors.ts";

/**
 * One thing at a time: a batch, a slice of moves, a command. So a batch never meets an entity half moved, and the order in
 * which things happen is the order in which they were asked for.
 */
export class Turns {
  private life: "open" | "closed" = "open";
  /** What is being done, and all that waits for it. */
  private last: Promise<unknown> = Promise.resolve();

  get isOpen(): boolean {
    return this.life === "open";
  }

  /** @throws VersionError `closed` */
  checkOpen(): void {
    if (this.life === "closed") throw new VersionError("closed", "The module was closed.");
  }

  take<Result>(task: () => Promise<Result>): Promise<Result> {
    const done = this.last.then(() => {
      this.checkOpen();
      return task();
    });
    this.last = done.catch(ignore);
    return done;
  }

  /** For what nobody waits for. */
  takeUnasked(task: () => Promise<void>): void {
    void this.take(task).catch(ignore);
  }

  /** What waits is refused; settles when what is being done has ended. */
  async close(): Promise<void> {
    this.life = "closed";
    await this.last.catch(ignore);
  }
}

function ignore(): void {}
