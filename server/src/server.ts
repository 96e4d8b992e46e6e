import path from "node:path";
import { collectDefaultMetrics, Registry } from "prom-client";
import { auditRoutes } from "./audit/routes.ts";
import { createBackups } from "./backups/backups.ts";
import { backupRoutes } from "./backups/routes.ts";
import type { Config } from "./config.ts";
import { startController } from "./controller/controller.ts";
import { environmentRoutes } from "./environments/routes.ts";
import { createEvaluator } from "./evaluation/evaluator.ts";
import { evaluationRoutes } from "./evaluation/routes.ts";
import { observeRollouts } from "./evidence/evidence-metrics.ts";
import { createPrometheus, type PrometheusSource } from "./evidence/prometheus.ts";
import { evidenceRoutes } from "./evidence/routes.ts";
import { startSampler } from "./evidence/sampler.ts";
import { createStoredEvidence } from "./evidence/stored-evidence.ts";
import { exportRoutes } from "./export/routes.ts";
import { configurationRoutes } from "./flags/configuration-routes.ts";
import { killRoutes } from "./flags/kill-routes.ts";
import { flagRoutes } from "./flags/routes.ts";
import { createApp } from "./http/app.ts";
import { createAuthenticate } from "./http/authentication.ts";
import { clientAddress } from "./http/client-address.ts";
import { docsRoutes } from "./http/docs.ts";
import { createListener, listen, stopListening } from "./http/listener.ts";
import { newRequestId } from "./http/middleware/request-id.ts";
import { openApiDocument } from "./http/openapi.ts";
import { openDataFolder } from "./ledger/data-folder.ts";
import type { FirstRun } from "./ledger/first-run.ts";
import { type OpenedLedger, openLedger } from "./ledger/open-ledger.ts";
import { type DiskSpace, watchDisk } from "./ops/disk.ts";
import { createLogger } from "./ops/log.ts";
import { createMetrics, observeServer } from "./ops/metrics.ts";
import { decideReadiness, type Readiness } from "./ops/readiness.ts";
import { opsRoutes } from "./ops/routes.ts";
import {
  createNodeClock,
  createNodeRandom,
  createNodeScheduler,
  nameOfProcess,
  readDiskSpace,
} from "./platform/node.ts";
import type { Clock, Logger, Random, Scheduler } from "./ports.ts";
import { receiptRoutes } from "./receipts/routes.ts";
import { observeGuardrails } from "./rollouts/guardrail-metrics.ts";
import { liveRollouts, viewOf } from "./rollouts/rollout.ts";
import { rolloutRoutes } from "./rollouts/routes.ts";
import { segmentRoutes } from "./segments/routes.ts";
import { createHub } from "./stream/hub.ts";
import { createLagMeter } from "./stream/lag-meter.ts";
import { loadResumeKey } from "./stream/resume-key.ts";
import { sdkRoutes } from "./stream/routes.ts";
import type { StreamOptions } from "./stream/stream-options.ts";
import { exposureRoutes } from "./telemetry/exposure-routes.ts";
import { openTelemetry } from "./telemetry/telemetry.ts";
import { Authenticator } from "./tokens/authenticator.ts";
import { tokenRoutes } from "./tokens/routes.ts";
import { Deliverer } from "./webhooks/deliverer.ts";
import { createOutgoing, type Resolve } from "./webhooks/outgoing.ts";
import { webhookRoutes } from "./webhooks/routes.ts";
import { createWebhookMetrics, observeOutbox } from "./webhooks/webhook-metrics.ts";

/*
 * How the parts fit together. Below a change goes left to right:
 *
 *   routes (http, parse and answer) -> ledger (decide, commit) -> hub (frame, broadcast) -> SDKs
 *
 * and what SDKs say comes back through the hub: acks become receipts, batches go to telemetry. What people are told is part of
 * the commit too: it goes ledger -> outbox (in the database) -> deliverer -> webhooks. The controller reads there what
 * became of a rollout, and asks the ledger for what follows.
 */

export interface ServerDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Name of this process: SDKs and logs say it. */
  readonly node: string;
  readonly stream?: Partial<StreamOptions>;
  /** Of the volume that holds a folder. @default the real one's */
  readonly diskSpace?: (folder: string) => DiskSpace | undefined;
  /** How names become addresses, for the requests of the server's own. @default the system's */
  readonly resolve?: Resolve;
}

export interface Server {
  /** The secrets of a database that was founded just now, else null. */
  readonly firstRun: FirstRun | null;
  readonly readiness: () => Readiness;
  /** Resolves with the port. */
  listen(): Promise<number>;
  /**
   * Sends streams elsewhere, answers what was asked, closes the database. `/readyz` is 503 from the first moment on. Twice is
   * once.
   */
  close(): Promise<void>;
}

/** How long requests may take once nothing new is accepted. */
const LAST_REQUESTS_MS = 5_000;

const API_VERSION = "1.0.0";

/** @throws StartupError, and then leaves nothing open */
export function createServer(deps: ServerDeps): Server {
  const { config, clock, scheduler, random, logger, registry } = deps;
  const { dataDir, tokenPepper: pepper, trustedProxies, outgoingAllow: allowedHosts } = config;

  const { ledger, firstRun, box, telemetry, resumeKey } = openDatabases(deps);
  const state = () => ledger.state;
  const authenticator = new Authenticator({ clock, pepper, state, touch: (id, now) => ledger.touchToken(id, now) });
  const hub = createHub({
    ...deps,
    ledger,
    telemetry,
    authenticator,
    resumeKey,
    clientAddress: ({ socket, headers }) =>
      clientAddress(socket.remoteAddress ?? "", String(headers["x-forwarded-for"] ?? ""), trustedProxies),
    ...(deps.stream && { options: deps.stream }),
  });
  const outgoing = createOutgoing({ ...deps, allowed: allowedHosts });
  const deliverer = new Deliverer({ ...deps, ledger, box, outgoing, metrics: createWebhookMetrics(registry) });
  observeOutbox(registry, ledger.outbox, () => clock.now());
  const lag = createLagMeter(clock, scheduler);
  const { diskSpace = readDiskSpace } = deps;
  const disk = watchDisk({ read: () => diskSpace(dataDir), scheduler, logger, registry });
  let closing: Promise<void> | undefined;
  const readiness = () =>
    decideReadiness({
      isDraining: closing !== undefined,
      readOnly: ledger.readOnly,
      lagMs: lag.lagMs,
      isLowOnSpace: disk.isLow,
    });

  const metrics = createMetrics(registry);
  observeServer(registry, { ledger, lagMs: () => lag.lagMs, isReady: () => readiness().status === "ready" });

  const app = createApp({ ...deps, authenticate: createAuthenticate(authenticator, trustedProxies), state, metrics });
  const evidence = createStoredEvidence({ telemetry, clock });
  const backups = createBackups({
    ...deps,
    ledger,
    folder: path.join(dataDir, "backups"),
    database: path.join(dataDir, "bunting.db"),
    diskSpace: () => diskSpace(dataDir),
  });
  const slice = { ledger, clock, scheduler, telemetry, evidence, delivery: hub, evaluator: createEvaluator(ledger) };
  environmentRoutes(app, slice);
  flagRoutes(app, slice);
  configurationRoutes(app, slice);
  killRoutes(app, slice);
  receiptRoutes(app, slice);
  exposureRoutes(app, slice);
  rolloutRoutes(app, slice);
  evidenceRoutes(app, slice);
  evaluationRoutes(app, slice);
  segmentRoutes(app, slice);
  tokenRoutes(app, slice);
  webhookRoutes(app, slice);
  auditRoutes(app, slice);
  exportRoutes(app, slice);
  backupRoutes(app, { backups });
  sdkRoutes(app, slice);
  opsRoutes(app, { readiness, registry, metricsAreOpen: config.metricsOpen });
  if (config.docs) docsRoutes(app, () => openApiDocument(app.routes, API_VERSION, config.publicUrl));
  app.finish();

  const http = createListener(app, () => newRequestId(random));
  hub.attach(http);
  const live = () => liveRollouts(ledger.state.rollouts).map(({ rollout }) => rollout);
  observeRollouts(registry, { live, telemetry, clock, scheduler });
  observeGuardrails(registry, () => liveRollouts(ledger.state.rollouts).map(viewOf));
  const sampler = startSampler({ ...deps, live, telemetry, prometheus: prometheusOf(config, scheduler) });
  const controller = startController({ ledger, evidence, clock, scheduler, logger, registry });

  const close = async (): Promise<void> => {
    controller.close();
    sampler.stop();
    await hub.drain();
    const stopped = stopListening(http, (task) => scheduler.after(LAST_REQUESTS_MS, task));
    hub.close();
    await stopped;
    lag.stop();
    disk.stop();
    await deliverer.close();
    telemetry.close();
    ledger.close();
  };

  return {
    firstRun,
    readiness,
    listen: () => listen(http, config),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * Both, or none: another try must not meet the lock of this one. Telemetry first: opening the ledger may begin a new history,
 * and its lock is no proof that nobody else is here, for whoever put a backup in its place left a running server the old file.
 * Nobody replaces telemetry's.
 */
function openDatabases(deps: ServerDeps) {
  const { config, clock, scheduler, random, logger } = deps;
  const { dataDir, tokenPepper: pepper, secretKey, outgoingAllow: allowedHosts } = config;
  openDataFolder(dataDir);
  // Asked for when something is reported, and by then it is there.
  let opened: OpenedLedger;
  const telemetry = openTelemetry({
    ...deps,
    file: path.join(dataDir, "telemetry.db"),
    state: () => opened.ledger.state,
    rollout: (id) => opened.ledger.state.rollouts.get(id)?.rollout,
  });
  try {
    const resumeKey = loadResumeKey(dataDir, random);
    const stored = { dataDir, pepper, secretKey, allowedHosts };
    opened = openLedger({ ...stored, clock, scheduler, random, logger });
    telemetry.forgetUnserved();
    return { ...opened, telemetry, resumeKey };
  } catch (error) {
    telemetry.close();
    throw error;
  }
}

function prometheusOf(config: Config, scheduler: Scheduler): PrometheusSource | null {
  const { prometheusUrl: baseUrl, prometheusAuthorization, prometheusAuthorizationFile: file } = config;
  if (baseUrl === null) return null;
  return createPrometheus({ baseUrl, authorization: file === null ? prometheusAuthorization : { file }, scheduler });
}

export interface RunningServer extends Pick<Server, "firstRun" | "close"> {
  /** Where it listens. */
  readonly url: string;
}

/**
 * The real server on the real machine. Rejects with a StartupError, or as `listen` does.
 *
 * @param write receives the log, a JSON line per event
 */
export async function startServer(config: Config, write: (line: string) => void = () => {}): Promise<RunningServer> {
  const clock = createNodeClock();
  const logger = createLogger(config.logLevel, write);
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const random = createNodeRandom();
  const node = nameOfProcess(random);
  for (const warning of config.warnings) logger.warn({ warning }, "configuration");

  const server = createServer({ config, clock, scheduler: createNodeScheduler(), random, logger, registry, node });
  try {
    const port = await server.listen();
    const url = `http://${config.host.includes(":") ? `[${config.host}]` : config.host}:${port}`;
    logger.info({ url, publicUrl: config.publicUrl, node }, "listening");
    return { url, firstRun: server.firstRun, close: () => server.close() };
  } catch (error) {
    await server.close();
    throw error;
  }
}
