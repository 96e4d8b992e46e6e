import { type ChildProcess, fork, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { type ServerProcess, startServerProcess } from "@bunting/testkit";
import type { Order, Report } from "./generator.ts";

/*
 * How long a change takes to the last of 1,000 and of 10,000 clients. A real server process and a real generator process over
 * loopback; and, alternating with it in the same run, a plain C loop of send(2) on the server's own sockets. Times depend on
 * the machine and on what else it does; the ratio much less.
 */

const ROUNDS = 11;
const counts = process.argv.slice(2).map(Number);

for (const count of counts.length > 0 ? counts : [1_000, 10_000]) {
  const room = openFileLimit() - 1_000;
  if (count > room) {
    console.log(`${count} clients: skipped, a process may open only ${room + 1_000} files here (ulimit -n).`);
    continue;
  }
  await measure(count);
}

async function measure(count: number): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "bunting-fanout-"));
  const server = await startServerProcess({ env: { BUNTING_LOG_LEVEL: "warn" } });
  const generator = startGenerator();
  let loop: SendLoop | null = null;
  try {
    await ask(server, "POST", "/api/v1/flags", { key: "redis-readthrough", description: "benchmark" });
    const idleBytes = await residentBytes(server);
    const token = server.firstRun.sdkTokens["production"] ?? "";
    const { ms } = await generator.order({ type: "connect", count, port: server.port, token }, "connected");
    const bytesEach = ((await residentBytes(server)) - idleBytes) / count;
    console.log(`\n${count} clients, connected in ${Math.round(ms)} ms, ${(bytesEach / 1024).toFixed(1)} kB RSS each`);

    loop = await startSendLoop(folder, server);
    const rounds: Record<"patch" | "kill" | "loop", Round[]> = { patch: [], kill: [], loop: [] };
    const stalls: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await longestDelay(server); // begins a new measurement
      const split = { on: round + 1, off: 99 - round };
      const patch = await change(server, generator, "PATCH", "", { fallthrough: { split } });
      stalls.push(await longestDelay(server));
      rounds.patch.push(patch);
      rounds.kill.push(await change(server, generator, "POST", "/kill", { reason: "benchmark" }));
      stalls.push(await longestDelay(server));
      await change(server, generator, "POST", "/restore", { reason: "benchmark" });
      if (loop) rounds.loop.push(await sendInLoop(loop, generator, round, patch.bytes));
    }
    print("PATCH of a percentage", rounds.patch, rounds.loop);
    print("kill", rounds.kill, rounds.loop);
    if (rounds.loop.length > 0) print(`C loop of send(2) on ${loop?.sockets} of these sockets`, rounds.loop, []);
    console.log(`  longest event-loop stall of the server      ${Math.round(Math.max(...stalls))} ms (bar: 20 ms)`);
    await printReceipt(server, generator);
  } finally {
    loop?.stop();
    generator.stop();
    await server.dispose();
    rmSync(folder, { recursive: true });
  }
}

// --- rounds

interface Round {
  /** From the REST request, or the start of the loop, to the last client. */
  readonly totalMs: number;
  /** From the first client to the last. */
  readonly spreadMs: number;
  readonly bytes: number;
}

async function change(
  server: ServerProcess,
  generator: Crowd,
  method: string,
  command: string,
  body: object,
): Promise<Round> {
  const target = `/api/v1/environments/production/flags/redis-readthrough${command}`;
  const marker = `"revision":${(await head(server)) + 1},`;
  await generator.order({ type: "watch", marker }, "watching");
  const seen = generator.next("seen");
  const startedAt = now();
  const asked = ask(server, method, target, body);
  const { firstAt, lastAt, bytes } = await seen;
  await asked;
  return { totalMs: lastAt - startedAt, spreadMs: lastAt - firstAt, bytes };
}

async function sendInLoop(loop: SendLoop, generator: Crowd, round: number, bytes: number): Promise<Round> {
  const marker = `"marker":"round-${round}"`;
  await generator.order({ type: "watch", marker }, "watching");
  const seen = generator.next("seen");
  const startedAt = await loop.send(textFrame(`{"type":"ignored",${marker},"padding":""}`, bytes));
  const { firstAt, lastAt } = await seen;
  return { totalMs: lastAt - startedAt, spreadMs: lastAt - firstAt, bytes };
}

/** An unmasked frame of this size, or as small as the text allows. */
function textFrame(text: string, bytes: number): Buffer {
  const padded = text.replace('""', `"${"x".repeat(Math.max(0, bytes - text.length - 4))}"`);
  const payload = Buffer.from(padded);
  const header =
    payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from(header), payload]);
}

// --- results

function print(what: string, rounds: readonly Round[], loop: readonly Round[]): void {
  const spread = median(rounds.map(({ spreadMs }) => spreadMs));
  const total = median(rounds.map(({ totalMs }) => totalMs));
  const worst = Math.max(...rounds.map(({ totalMs }) => totalMs));
  const ratio =
    loop.length > 0 ? `, ${(spread / median(loop.map(({ spreadMs }) => spreadMs))).toFixed(2)} x the C loop` : "";
  const size = `${rounds[0]?.bytes} bytes`;
  console.log(
    `  ${`${what}, ${size}`.padEnd(42)}  last client after ${total.toFixed(1)} ms (worst ${worst.toFixed(1)}), ` +
      `first to last ${spread.toFixed(1)} ms${ratio}`,
  );
}

async function printReceipt(server: ServerProcess, generator: Crowd): Promise<void> {
  const revision = await head(server);
  await generator.order({ type: "ack", revision }, "acked");
  const receipt = JSON.parse(
    await ask(server, "GET", `/api/v1/environments/production/receipts/${revision}?waitMs=20000`),
  ) as { readonly applied: number; readonly connected: number };
  console.log(
    `  receipt of the last change                  ${receipt.applied}/${receipt.connected} instances applied it`,
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

// --- the server

/** One connection per request: an open one would be among the sockets of the loop. */
async function ask(server: ServerProcess, method: string, target: string, body?: object): Promise<string> {
  const text = body && JSON.stringify(body);
  const headers = {
    Authorization: `Bearer ${server.firstRun.adminToken}`,
    ...(text && { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) }),
  };
  const outgoing = request(server.url + target, { method, headers, agent: false });
  outgoing.end(text);
  const [response] = (await once(outgoing, "response")) as [AsyncIterable<Buffer> & { readonly statusCode: number }];
  let answer = "";
  for await (const chunk of response) answer += chunk.toString();
  if (response.statusCode >= 300) throw new Error(`${method} ${target}: ${response.statusCode} ${answer}`);
  return answer;
}

async function head(server: ServerProcess): Promise<number> {
  const environment = JSON.parse(await ask(server, "GET", "/api/v1/environments/production")) as {
    readonly position: { readonly revision: number };
  };
  return environment.position.revision;
}

/** Longest delay of the event loop since the last question. The meter itself ticks every 10 ms, which is no delay. */
async function longestDelay(server: ServerProcess): Promise<number> {
  const metrics = await ask(server, "GET", "/metrics");
  const seconds = Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(metrics)?.[1] ?? Number.NaN);
  return Math.max(0, seconds * 1_000 - 10);
}

async function residentBytes(server: ServerProcess): Promise<number> {
  const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

// --- the generator

type Crowd = ReturnType<typeof startGenerator>;

function startGenerator() {
  const child: ChildProcess = fork(path.join(import.meta.dirname, "generator.ts"));
  const next = async <Type extends Report["type"]>(type: Type): Promise<Extract<Report, { type: Type }>> => {
    for (;;) {
      const [report] = (await once(child, "message", { signal: AbortSignal.timeout(60_000) })) as [Report];
      if (report.type === type) return report as Extract<Report, { type: Type }>;
    }
  };
  return {
    next,
    order<Type extends Report["type"]>(order: Order, answer: Type) {
      const answered = next(answer);
      child.send(order);
      return answered;
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

// --- the loop in C

interface SendLoop {
  readonly sockets: number;
  /** Sends to all and answers when it began (CLOCK_MONOTONIC ms). */
  send(frame: Buffer): Promise<number>;
  stop(): void;
}

/** Null, with a sentence, where there is no compiler or the sockets cannot be borrowed. */
async function startSendLoop(folder: string, server: ServerProcess): Promise<SendLoop | null> {
  const program = path.join(folder, "send-loop");
  const compiled = spawnSync("cc", ["-O2", "-o", program, path.join(import.meta.dirname, "send-loop.c")]);
  if (compiled.status !== 0) {
    console.log("  No comparison with C: there is no compiler (cc) here, or it does not compile this.");
    return null;
  }
  const child = spawn(program, [String(server.pid), String(server.port)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const sockets = Number((await lines.next()).value ?? 0);
  if (sockets === 0) {
    console.log("  No comparison with C: this system does not lend the sockets of another process (pidfd_getfd).");
    child.kill();
    return null;
  }
  return {
    sockets,
    async send(frame) {
      child.stdin.write(`${frame.toString("hex")}\n`);
      const line = ((await lines.next()).value ?? "") as string;
      return Number(line.split(" ")[0]);
    },
    stop: () => void child.kill("SIGKILL"),
  };
}

// --- the machine

function openFileLimit(): number {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
  } catch {
    return 4_000; // macOS lets Node.js have more, but does not say so
  }
}

function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
