import type { Thread, ThreadListener, Threads, VersionsPlatform } from "./ports.ts";
import type { Request } from "./worker/protocol.ts";
import { Servant } from "./worker/servant.ts";

/** What may befall a simulated thread at one request. */
export type Fate = "answer" | "crash_before" | "crash_after" | "stall";

export interface SimulatedThreads extends VersionsPlatform {
  /** Threads that run. */
  readonly running: readonly SimulatedThread[];
  /** Decides each request's fate. */
  fate: (request: Request) => Fate;
}

/** Threads without threads: the real servant behind messages that are cloned, take their time, and crash as told. */
export function createSimulatedThreads(
  { time, random }: { readonly time: Time; readonly random: { below(limit: number): number } },
  /** What files export, by address: an import would take real time. */
  files: Readonly<Record<string, object>>,
): SimulatedThreads {
  const running: SimulatedThread[] = [];
  const world: SimulatedThreads = {
    clock: time.clock,
    scheduler: time.scheduler,
    running,
    fate: () => "answer",
    createThreads: (): Threads => ({
      start(listener) {
        const thread = new SimulatedThread(listener, {
          after: (task) => time.scheduler.after(random.below(4), task),
          load: (url) => files[url],
          fate: (request) => world.fate(request),
          gone: () => void running.splice(running.indexOf(thread), 1),
        });
        running.push(thread);
        return thread;
      },
      warm: () => Promise.resolve(),
      close: () => Promise.resolve(),
    }),
  };
  return world;
}

/** Time that a test moves. */
type Time = Pick<VersionsPlatform, "clock" | "scheduler">;

interface Surroundings {
  after(task: () => void): void;
  load(url: string): unknown;
  fate(request: Request): Fate;
  gone(): void;
}

export class SimulatedThread implements Thread {
  readonly servant: Servant;
  /** What it was loaded with. */
  version = "";
  private readonly listener: ThreadListener;
  private readonly around: Surroundings;
  private state: "running" | "over" = "running";

  constructor(listener: ThreadListener, around: Surroundings) {
    this.listener = listener;
    this.around = around;
    const load = (url: string): Promise<unknown> => {
      const exports = around.load(url);
      return exports === undefined ? Promise.reject(new Error(`There is no ${url}`)) : Promise.resolve(exports);
    };
    this.servant = new Servant({ load, monotonic: () => 0, heapBytes: () => 1_000 });
  }

  send(request: Request): void {
    const sent = structuredClone(request);
    if (sent.type === "load") this.version = sent.version;
    this.around.after(() => void this.receive(sent));
  }

  end(): Promise<void> {
    this.stop();
    return Promise.resolve();
  }

  /** Ends by itself, as a crash or `process.exit` ends it. */
  crash(): void {
    if (this.state === "over") return;
    this.stop();
    this.listener.ended({ code: "exited", message: "The simulation ended this thread." });
  }

  private async receive(request: Request): Promise<void> {
    if (this.state === "over") return;
    const fate = this.around.fate(request);
    if (fate === "crash_before") return this.crash();
    const reply = structuredClone(await this.servant.answer(request));
    if (fate === "crash_after") return this.crash();
    if (fate === "stall" || this.isOver) return;
    this.around.after(() => {
      if (!this.isOver) this.listener.replied(reply);
    });
  }

  private get isOver(): boolean {
    return this.state === "over";
  }

  private stop(): void {
    if (this.state === "over") return;
    this.state = "over";
    this.around.gone();
  }
}
