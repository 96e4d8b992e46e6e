import { parentPort } from "node:worker_threads";
import type { Column } from "../version-module.ts";
import type { Reply, Request } from "./protocol.ts";
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
      const { message, buffers } = parcelOf(reply);
      parentPort?.postMessage(message, buffers);
    } catch (error) {
      const message = `The answer cannot be sent to another thread: ${error instanceof Error ? error.message : "?"}`;
      const code = request.type === "process" ? "process_threw" : "state_corrupt";
      parentPort?.postMessage({ ok: false, failure: { code, message }, heapBytes: reply.heapBytes });
    }
  });
});

/**
 * The answer with copies of its typed columns, to be handed over: the version keeps its own, and a copied block that changes
 * hands is far cheaper than one that is cloned on both sides.
 */
function parcelOf(reply: Reply): { readonly message: Reply; readonly buffers: ArrayBuffer[] } {
  if (!reply.ok || reply.answer === null || typeof reply.answer !== "object" || !("processMs" in reply.answer)) {
    return { message: reply, buffers: [] };
  }
  const buffers: ArrayBuffer[] = [];
  const columns: Record<string, Column> = {};
  for (const [name, column] of Object.entries(reply.answer.columns)) {
    if (!ArrayBuffer.isView(column)) {
      columns[name] = column;
      continue;
    }
    const copy = column.slice();
    if (copy.buffer instanceof ArrayBuffer) buffers.push(copy.buffer);
    columns[name] = copy;
  }
  return { message: { ...reply, answer: { ...reply.answer, columns } }, buffers };
}
