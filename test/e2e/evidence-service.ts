import { appendFileSync } from "node:fs";
import { setInterval as everyMs } from "node:timers/promises";
import type { TelemetryBatch } from "@bunting/contracts";
import { createSeededRandom } from "@bunting/testkit";
import { createFlagsOn } from "../../sdk/src/create-flags.ts";
import { nodePlatform } from "../../sdk/src/platform/node.ts";
import type { Platform, Socket } from "../../sdk/src/ports.ts";

/*
 * A process of an application with the real SDK over the real stream. Its users come back, fail now and then, and some of
 * them buy. Each batch is written down on its way to the socket, so that whoever kills the process knows what it may have
 * sent. SIGTERM: it waits for its outcomes, closes, and writes down what the application itself counted.
 */

interface Orders {
  readonly url: string;
  readonly token: string;
  readonly journal: string;
  readonly flag: string;
  readonly instance: string;
  readonly seed: number;
}

/** By variant, what the application did: what the SDK has to have counted. */
export type Produced = Readonly<
  Record<string, Readonly<Record<"exposures" | "outcomes" | "errors" | "events", number>>>
>;

/** One line of the journal each. A batch that is sent again is written down again. */
export type ServiceEntry =
  | { readonly batch: TelemetryBatch }
  | { readonly acknowledged: number }
  | { readonly produced: Produced };

const TICK_MS = 10;
const FLUSH_TICKS = 60;
const USERS = 500;

async function serve(orders: Orders): Promise<void> {
  const random = createSeededRandom(orders.seed);
  const note = (entry: ServiceEntry): void => appendFileSync(orders.journal, `${JSON.stringify(entry)}\n`);
  const { url, token, instance, flag } = orders;
  const flags = createFlagsOn(noting(nodePlatform(), note), { url, token, instance, cacheFile: false });
  const produced: Record<string, Record<"exposures" | "outcomes" | "errors" | "events", number>> = {};
  const countsOf = (variant: string) => {
    produced[variant] ??= { exposures: 0, outcomes: 0, errors: 0, events: 0 };
    return produced[variant];
  };
  let isEnding = false;
  process.on("SIGTERM", () => {
    isEnding = true;
  });
  if ((await flags.ready({ timeoutMs: 60_000 })) !== "live") throw new Error("The server did not answer.");

  const waiting = new Set<() => void>();
  let tickCount = 0;
  for await (const _tick of everyMs(TICK_MS)) {
    for (const settle of waiting) if (isEnding || random.next() < 0.2) settle();
    if (isEnding) break;
    const user = `${instance}-${random.below(USERS)}`;
    const exposure = flags.expose(flag, user);
    const counts = countsOf(exposure.variant ?? "none");
    counts.exposures += 1;
    const isError = random.next() < 0.02;
    const latencyMs = 1 + random.below(2_000);
    const settle = (): void => {
      waiting.delete(settle);
      counts.outcomes += 1;
      if (isError) counts.errors += 1;
      if (isError) exposure.error(new Error("It failed."), latencyMs);
      else exposure.success(latencyMs);
    };
    waiting.add(settle);
    if (random.next() < 0.3) {
      flags.track("conversion", user, 1 + random.below(9));
      counts.events += 1;
    }
    tickCount += 1;
    if (tickCount % FLUSH_TICKS === 0) void flags.flush();
  }
  await flags.flush();
  await flags.close();
  note({ produced });
}

/** Notes every batch before it goes to the socket, and every acknowledgement on a stream before the SDK hears of it. */
function noting(platform: Platform, note: (entry: ServiceEntry) => void): Platform {
  const { network } = platform;
  return {
    ...platform,
    network: {
      request: (request, done) => {
        if (request.method === "POST" && request.body !== undefined)
          note({ batch: JSON.parse(request.body) as TelemetryBatch });
        return network.request(request, done);
      },
      openSocket: (request, listener) => {
        const socket: Socket = network.openSocket(request, {
          ...listener,
          message(text) {
            const message = JSON.parse(text ?? "{}") as { readonly type?: string; readonly sequence: number };
            if (message.type === "telemetry_ack") note({ acknowledged: message.sequence });
            listener.message(text);
          },
        });
        return {
          send(text) {
            const message = JSON.parse(text) as { readonly type: string; readonly batch: TelemetryBatch };
            if (message.type === "telemetry") note({ batch: message.batch });
            socket.send(text);
          },
          close: (code) => socket.close(code),
          destroy: () => socket.destroy(),
        };
      },
    },
  };
}

const [, program, orders] = process.argv;
if (program?.endsWith("evidence-service.ts") && orders !== undefined) await serve(JSON.parse(orders) as Orders);
