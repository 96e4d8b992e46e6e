import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { SUBPROTOCOL } from "@bunting/contracts/literals";
import { type WebSocket, WebSocketServer } from "ws";
import { createOrigin, type Origin } from "./origin.ts";
import { createStreamNode, type NodeConnection, type StreamNode, type StreamNodeOptions } from "./stream-node.ts";
import { createTelemetryStore, type TelemetryStore } from "./telemetry-store.ts";

/** A `bunting.v1` server on a real port of the loopback, for tests of clients that need real sockets. */
export interface StreamServer {
  readonly url: string;
  readonly token: string;
  readonly origin: Origin;
  readonly node: StreamNode;
  readonly telemetry: TelemetryStore;
  readonly connections: ReadonlySet<NodeConnection>;
  /** Headers of every request so far. */
  readonly requests: readonly IncomingMessage[];
  /** Answers upgrades with this instead, until set to null again. */
  refuseUpgrades(answer: { readonly status: number; readonly headers?: Readonly<Record<string, string>> } | null): void;
  /** Answers every plain request with this instead. */
  answerRequests(answer: ((response: ServerResponse) => void) | null): void;
  /** Closes every connection. */
  closeAll(code: number): void;
  stop(): Promise<void>;
}

export interface StreamServerOptions extends Partial<Pick<StreamNodeOptions, "origin" | "heartbeatMs" | "ackHoldMs">> {
  readonly port?: number;
  /** Accepts permessage-deflate, and compresses what it sends. */
  readonly deflate?: boolean;
}

const TOKEN = "test-token";

export async function startStreamServer(options: StreamServerOptions = {}): Promise<StreamServer> {
  const { origin = createOrigin(), port = 0, deflate = false, ...nodeOptions } = options;
  const telemetry = createTelemetryStore();
  const timers = new Set<NodeJS.Timeout>();
  const after = (delayMs: number, task: () => void): (() => void) => {
    const timer = setTimeout(task, delayMs);
    timers.add(timer);
    return () => clearTimeout(timer);
  };
  const node = createStreamNode({ origin, telemetry, after, now: () => Date.now(), ...nodeOptions });
  const requests: IncomingMessage[] = [];
  let refusal: Parameters<StreamServer["refuseUpgrades"]>[0] = null;
  let answer: ((response: ServerResponse) => void) | null = null;
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: deflate ? { threshold: 0 } : false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  const isAuthorized = ({ headers }: IncomingMessage): boolean => headers.authorization === `Bearer ${TOKEN}`;

  const server = createServer((request, response) => {
    requests.push(request);
    if (answer !== null) return answer(response);
    if (!isAuthorized(request)) return void response.writeHead(401).end();
    if (request.method === "POST") return void takeBatch(request, response, telemetry);
    const { status, etag, body } = node.poll(request.headers["if-none-match"]);
    response.writeHead(status, { "content-type": "application/json", etag }).end(body);
  });
  server.on("upgrade", (request, socket, head) => {
    requests.push(request);
    socket.on("error", () => socket.destroy());
    const refused = refusal ?? (isAuthorized(request) ? null : { status: 401 });
    if (refused !== null) return void socket.end(refusalText(refused));
    sockets.handleUpgrade(request, socket, head, (websocket) => converse(request, websocket, node));
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: TOKEN,
    origin,
    node,
    telemetry,
    connections: node.connections,
    requests,
    refuseUpgrades(next) {
      refusal = next;
    },
    answerRequests(next) {
      answer = next;
    },
    closeAll(code) {
      for (const connection of node.connections) connection.close(code);
    },
    async stop() {
      node.stop();
      for (const timer of timers) clearTimeout(timer);
      for (const websocket of sockets.clients) websocket.terminate();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function converse(request: IncomingMessage, websocket: WebSocket, node: StreamNode): void {
  const { searchParams } = new URL(request.url ?? "/", "http://localhost");
  const connection = node.connect(searchParams, {
    send: (text) => websocket.send(text),
    // 1006 cannot be sent: it is what the other side sees when there was no closing handshake.
    close: (code) => (code === 1006 ? websocket.terminate() : websocket.close(code)),
  });
  if (connection === null) return websocket.close(1013);
  websocket.on("message", (data: Buffer) => connection.receive(data.toString("utf8")));
  websocket.on("close", () => connection.ended());
}

async function takeBatch(request: IncomingMessage, response: ServerResponse, telemetry: TelemetryStore): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const sequence = telemetry.merge(JSON.parse(Buffer.concat(chunks).toString("utf8")));
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ type: "telemetry_ack", sequence }));
}

function refusalText({ status, headers = {} }: { status: number; headers?: Readonly<Record<string, string>> }): string {
  const lines = Object.entries({ connection: "close", "content-length": "0", ...headers });
  return `HTTP/1.1 ${status} Refused\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}
