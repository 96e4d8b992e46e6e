/*
 * A process for crash.sqlite.test.ts to kill: it has a webhook at the given port, tells it of a kill, and dies where it is told.
 */
import { createServer } from "node:net";
import { webhookDraft } from "@bunting/contracts";
import { Registry } from "prom-client";
import type { Command } from "../ledger/command.ts";
import { actor, createFlag, createTestLogger, killOf } from "../ledger/ledger-fixture.ts";
import { openLedger } from "../ledger/open-ledger.ts";
import { createNodeClock, createNodeRandom, createNodeScheduler } from "../platform/node.ts";
import { Deliverer } from "./deliverer.ts";
import { createOutgoing, type Outgoing } from "./outgoing.ts";
import { createWebhookMetrics } from "./webhook-metrics.ts";

const [moment, dataDir = "", port = ""] = process.argv.slice(2);

/** Which of the changes below is the kill. */
const KILL = 3;

const die = (): never => {
  process.kill(process.pid, "SIGKILL");
  throw new Error("unreachable");
};

const world = { clock: createNodeClock(), random: createNodeRandom(), scheduler: createNodeScheduler() };
const { logger } = createTestLogger();
const allowedHosts = new Set([`127.0.0.1:${port}`]);
let commitCount = Number.NaN;
const { ledger, box } = openLedger({
  ...world,
  dataDir,
  pepper: null,
  logger,
  ballastBytes: 64 * 1024,
  allowedHosts,
  failpoints: { afterCommit: () => void (++commitCount === KILL && moment === "committed" && die()) },
});
// What a first start commits does not count.
commitCount = 0;

const outgoing = createOutgoing({ ...world, allowed: allowedHosts });
const dying: Outgoing = {
  async send(request) {
    const answer = await outgoing.send(request);
    return moment === "delivered" ? die() : answer;
  },
};
new Deliverer({ ...world, ledger, box, logger, outgoing: dying, metrics: createWebhookMetrics(new Registry()) });

const execute = (command: Command): void => void ledger.execute(command, actor());
const url = `http://127.0.0.1:${port}/hook`;
execute({ type: "create_webhook", draft: webhookDraft.parse({ name: "releases", url }) });
execute(createFlag("told"));
execute(killOf("told"));
// Schedulers do not keep a process alive; this does.
createServer().listen(0, "127.0.0.1");
