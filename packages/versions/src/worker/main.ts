import { parentPort } from "node:worker_threads";
import type { Request } from "./protocol.ts";
import { Servant } from "./servant.ts";

/** The thread of one version: answers requests one after the other. */
const servant = new Servant({
  load: (url) => import(url),
  monotonic: () => performance.now(),
  heapBytes: () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  },
});

/** Said once, before anything is asked. */
parentPort?.postMessage("ready");

let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (request: Request) => {
  last = last.then(async () => {
    const reply = await servant.answer(request);
    try {
      parentPort?.postMessage(reply);
    } catch (error) {
      const message = `The answer cannot be sent to another thread: ${error instanceof Error ? error.message : "?"}`;
      const code = request.type === "process" ? "process_threw" : "state_corrupt";
      parentPort?.postMessage({ ok: false, failure: { code, message }, heapBytes: reply.heapBytes });
    }
  });
});
