export { type Child, type ChildExit, type ChildProgram, startChild } from "./child.ts";
export { eventually, type Patience } from "./eventually.ts";
export { createFakeTime, type FakeTime } from "./fake-time.ts";
export { freePort } from "./free-port.ts";
export { type RedisProcess, startRedisProcess, whyNoRedis } from "./redis-process.ts";
export { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
export { type FirstRun, type ServerProcess, type ServerProcessOptions, startServerProcess } from "./server-process.ts";
export { type Direction, type Fault, startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";
