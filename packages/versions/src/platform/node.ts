import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { Failure } from "../errors.ts";
import type { Scheduler, Thread, ThreadLimits, ThreadListener, Threads, VersionsPlatform } from "../ports.ts";
import type { Reply, Request } from "../worker/protocol.ts";

/** The real world, on Node.js: one worker thread per version. */
export function nodePlatform(): VersionsPlatform {
  return {
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    scheduler,
    createThreads,
  };
}

const scheduler: Scheduler = {
  after(delayMs, task) {
    const timer = setTimeout(task, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Short-lived objects: enough for the columns of a batch, and little beside `maxHeapMb`. */
const YOUNG_GENERATION_MB = 16;

/**
 * Keeps one thread started and empty: to load a version, and above all to load one again in an emergency, is then to import
 * its file (a few ms) and not to start a thread (25 ms, and 120 where sources are compiled on the way).
 */
function createThreads({ maxHeapMb, urls }: ThreadLimits): Threads {
  const bootstrap = bootstrapOf(urls);
  const startWorker = (): Worker =>
    new Worker(bootstrap, {
      eval: true,
      execArgv: process.execArgv.filter((argument) => /^(--conditions|-C)=/.test(argument)).concat(OWN_CONDITIONS),
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
  let spare: Worker | null = null;
  let isWarm: Promise<void> = Promise.resolve();
  let isClosed = false;
  const refill = (): void => {
    if (isClosed || spare !== null) return;
    const fresh = startWorker();
    spare = fresh;
    const forget = (): void => {
      if (spare === fresh) spare = null;
    };
    isWarm = new Promise((resolve) => {
      // These stay: a worker whose last listener for messages is removed stops receiving.
      fresh.on("message", () => resolve());
      fresh.on("error", forget);
      fresh.on("exit", () => {
        forget();
        resolve();
      });
    });
    fresh.unref();
  };
  refill();
  return {
    start(listener) {
      const worker = spare ?? startWorker();
      spare = null;
      const thread = new NodeThread(worker, listener, maxHeapMb);
      setImmediate(refill);
      return thread;
    },
    async warm() {
      // Awaited by somebody, so the process may not end over it.
      spare?.ref();
      await isWarm;
      spare?.unref();
    },
    async close() {
      isClosed = true;
      const last = spare;
      spare = null;
      await last?.terminate();
    },
  };
}

class NodeThread implements Thread {
  private readonly worker: Worker;
  private readonly listener: ThreadListener;
  private readonly maxHeapMb: number;
  private state: "running" | "over" = "running";
  private awaited = 0;

  constructor(worker: Worker, listener: ThreadListener, maxHeapMb: number) {
    this.worker = worker;
    this.listener = listener;
    this.maxHeapMb = maxHeapMb;
    worker.on("message", (message: Reply | "ready") => {
      if (message !== "ready") this.replied(message);
    });
    worker.on("error", (error: NodeJS.ErrnoException) => this.over(failureOf(error)));
    worker.on("messageerror", (error) => this.over({ code: "process_threw", message: error.message }));
    worker.on("exit", (code) => this.over({ code: "exited", message: `The thread ended with exit code ${code}.` }));
  }

  send(request: Request): void {
    // Whoever awaits an answer keeps the process alive; a version that is only there does not.
    this.worker.postMessage(request, buffersOf(request));
    this.awaited += 1;
    this.worker.ref();
  }

  async end(): Promise<void> {
    this.state = "over";
    await this.worker.terminate();
  }

  private replied(reply: Reply): void {
    if (this.state === "over") return;
    this.awaited -= 1;
    if (this.awaited === 0) this.worker.unref();
    const limitBytes = (this.maxHeapMb + YOUNG_GENERATION_MB) * 2 ** 20;
    if (reply.heapBytes <= limitBytes) return this.listener.replied(reply);
    // V8 limits the heap; what typed arrays hang onto outside of it is limited here.
    this.over({ code: "heap_limit", message: `${Math.round(reply.heapBytes / 2 ** 20)} MB are in use.` });
    void this.worker.terminate();
  }

  private over(failure: Failure): void {
    if (this.state === "over") return;
    this.state = "over";
    this.listener.ended(failure);
  }
}

function failureOf(error: NodeJS.ErrnoException): Failure {
  const code = error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "heap_limit" : "exited";
  return { code, message: error.message };
}

function buffersOf(request: Request): ArrayBuffer[] {
  if (request.type !== "process") return [];
  const views = Object.values(request.columns).filter((column) => ArrayBuffer.isView(column));
  return [...views, ...(request.slots === null ? [] : [request.slots])]
    .map(({ buffer }) => buffer)
    .filter((buffer) => buffer instanceof ArrayBuffer);
}

/** Running from sources, here and in the threads. */
const OWN_CONDITIONS = import.meta.url.endsWith(".ts") ? ["--conditions=@bunting/source"] : [];

/**
 * What a thread runs first. Where this package or a version is TypeScript, tsx is registered in the thread before anything is
 * imported: worker threads of Node.js 20 do not take over the hooks of the process.
 */
function bootstrapOf(urls: readonly string[]): string {
  const main = new URL(`../worker/main${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url).href;
  const typescript = [main, ...urls].find((url) => /\.[cm]?ts(?:\?|$)/.test(url));
  const run = `import(${JSON.stringify(main)})`;
  if (typescript === undefined) return run;
  const compiler = JSON.stringify(compilerFor([typescript, import.meta.url]));
  return `import(${compiler}).then((tsx) => { tsx.register(); return ${run}; })`;
}

/** tsx as seen from the first place that has it, as a module: what `require.resolve` finds is its CommonJS twin. */
function compilerFor(places: readonly string[]): string {
  for (const place of places) {
    try {
      const manifest = createRequire(fileURLToPath(place)).resolve("tsx/package.json");
      return new URL("dist/esm/api/index.mjs", pathToFileURL(manifest)).href;
    } catch {
      // Looked for from the next place.
    }
  }
  throw new TypeError("Cannot load versions in TypeScript: tsx is not installed. Install it, or compile them.");
}
