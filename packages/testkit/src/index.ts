export { type Child, type ChildExit, type ChildProgram, startChild } from "./child.ts";
export { eventually, type Patience } from "./eventually.ts";
export { createFakeTime, type FakeTime } from "./fake-time.ts";
export { freePort } from "./free-port.ts";
export { createMemoryFiles, type MemoryFiles } from "./memory-files.ts";
export {
  createMemoryNetwork,
  type Fate,
  type MemoryAnswer,
  type MemoryNetwork,
  type MemoryPeer,
  type MemoryRequest,
  type MemoryServer,
  NO_SERVER,
} from "./memory-network.ts";
export {
  checksumOf,
  ModelClient,
  type ModelFlaws,
  type ModelReply,
  type ModelState,
} from "./model-client.ts";
export { booleanFlag, createOrigin, type FlagShape, type Origin, withChecksum } from "./origin.ts";
export { type PrometheusProcess, startPrometheusProcess, whyNoPrometheus } from "./prometheus-process.ts";
export { type RedisProcess, startRedisProcess, whyNoRedis } from "./redis-process.ts";
export { createSdkWorld, type SdkWorld } from "./sdk-world.ts";
export { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
export { type FirstRun, type ServerProcess, type ServerProcessOptions, startServerProcess } from "./server-process.ts";
export {
  openStreamClient,
  type StreamClient,
  type StreamClientOptions,
  UpgradeRefused,
} from "./stream-client.ts";
export {
  createStreamNode,
  type NodeConnection,
  type StreamNode,
  type StreamNodeOptions,
  type Wire,
} from "./stream-node.ts";
export { type StreamServer, type StreamServerOptions, startStreamServer } from "./stream-server.ts";
export { type Direction, type Fault, startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";
export { createTelemetryStore, type TelemetryStore } from "./telemetry-store.ts";
