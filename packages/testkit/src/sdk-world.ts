import { createFakeTime, type FakeTime } from "./fake-time.ts";
import { createMemoryFiles, type MemoryFiles } from "./memory-files.ts";
import { createMemoryNetwork, type MemoryNetwork, type MemoryServer } from "./memory-network.ts";
import { createOrigin, type Origin } from "./origin.ts";
import { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
import { createStreamNode, type StreamNode, type StreamNodeOptions } from "./stream-node.ts";
import { createTelemetryStore, type TelemetryStore } from "./telemetry-store.ts";

/** Everything around a client, simulated: one seed is one run. `platform` fits the SDK's Platform port. */
export interface SdkWorld {
  readonly time: FakeTime;
  readonly random: SeededRandom;
  readonly network: MemoryNetwork;
  readonly files: MemoryFiles;
  readonly environment: Record<string, string | undefined>;
  readonly origin: Origin;
  readonly telemetry: TelemetryStore;
  /** Starts a node on the origin and lets the network lead to it. */
  serve(options?: Partial<StreamNodeOptions>): StreamNode;
  /** How the network leads to a node; for networks that lead to several. */
  leadTo(node: StreamNode): MemoryServer;
  /** Lines that were printed. */
  readonly warnings: readonly string[];
  /** Promises that hold the process. */
  readonly held: number;
  readonly platform: {
    readonly clock: FakeTime["clock"];
    readonly scheduler: FakeTime["scheduler"];
    readonly random: SeededRandom;
    readonly network: MemoryNetwork;
    readonly files: MemoryFiles;
    readonly environment: Record<string, string | undefined>;
    warn(line: string): void;
    hold(): () => void;
    readonly sdk: string;
    readonly instance: string;
  };
}

export function createSdkWorld(seed = 1, origin: Origin = createOrigin()): SdkWorld {
  const time = createFakeTime();
  const random = createSeededRandom(seed);
  const network = createMemoryNetwork(time);
  const files = createMemoryFiles();
  const telemetry = createTelemetryStore();
  const environment: Record<string, string | undefined> = {};
  const warnings: string[] = [];
  let held = 0;
  const hold = (): (() => void) => {
    held += 1;
    return () => {
      held -= 1;
    };
  };
  const leadTo = (node: StreamNode): MemoryServer => ({
    socket(peer) {
      const connection = node.connect(peer.url.searchParams, {
        send: (text) => peer.send(text),
        close: (code) => peer.close(code),
      });
      if (connection === null) return peer.refuse(503, 1_000);
      peer.accept();
      peer.onMessage = (text) => connection.receive(text);
      peer.onEnd = () => connection.ended();
    },
    request({ method, headers, body }, answer) {
      const json = new Map([["content-type", "application/json"]]);
      if (method === "POST") {
        const sequence = telemetry.merge(JSON.parse(body));
        return answer({
          kind: "answered",
          status: 200,
          headers: json,
          body: JSON.stringify({ type: "telemetry_ack", sequence }),
        });
      }
      const { status, body: ruleset } = node.poll(headers["if-none-match"]);
      const sentAt = new Map([["bunting-sent-at", String(Math.floor(node.now()))]]);
      answer({ kind: "answered", status, headers: new Map([...json, ...sentAt]), body: ruleset });
    },
  });
  return {
    time,
    random,
    network,
    files,
    environment,
    origin,
    telemetry,
    leadTo,
    warnings,
    serve(options) {
      const node = createStreamNode({
        origin,
        telemetry,
        after: (delayMs, task) => time.scheduler.after(delayMs, task),
        now: () => time.clock.now(),
        ...options,
      });
      network.server = leadTo(node);
      return node;
    },
    get held() {
      return held;
    },
    platform: {
      clock: time.clock,
      scheduler: time.scheduler,
      random,
      network,
      files,
      environment,
      warn: (line) => void warnings.push(line),
      hold,
      sdk: "bunting-test/1",
      instance: "test-instance",
    },
  };
}
