import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { LIMITS, SUBPROTOCOL } from "@bunting/contracts/literals";
import { type WebSocket, WebSocketServer } from "ws";
import { problemOf } from "../http/problem.ts";
import type { Refusal } from "../ledger/command.ts";
import type { Scheduler } from "../ports.ts";
import type { Wire } from "./connection.ts";

/*
 * The ws library does the handshake, the parsing, the close states and the limits on what comes in. What goes out is written
 * to the socket as ready frames: never through ws.send, never fragmented, never in two writes. The close and pong frames that
 * ws writes itself are whole frames and may come between ours.
 */

export interface Handshake {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
  readonly deflated: boolean;
}

export interface Handshaker {
  /** Answers 101, or a refusal of its own if the handshake is broken. Calls back before it returns. */
  accept(handshake: Handshake, opened: (websocket: WebSocket) => void): void;
}

export function createHandshaker(refuse: (socket: Socket, refusal: Refusal) => void): Handshaker {
  const create = (perMessageDeflate: boolean): WebSocketServer => {
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: LIMITS.streamMessageBytes,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
      // Negotiated so that snapshots can be sent compressed; no compressor is ever made for a connection.
      perMessageDeflate: perMessageDeflate && { serverNoContextTakeover: true, clientNoContextTakeover: true },
    });
    server.on("wsClientError", (error, socket) => {
      refuse(socket as Socket, { code: "invalid_request", detail: `${error.message}.` });
    });
    return server;
  };
  const plain = create(false);
  const deflating = create(true);
  return {
    accept({ request, socket, head, deflated }, opened) {
      socket.cork(); // the 101, the welcome and what follows it leave together
      (deflated ? deflating : plain).handleUpgrade(request, socket, head, opened);
      socket.uncork();
    },
  };
}

/** The real socket of a connection. */
export function createWire(websocket: WebSocket, socket: Socket, scheduler: Scheduler, closeTimeoutMs: number): Wire {
  return {
    get writable() {
      return websocket.readyState === websocket.OPEN;
    },
    get backlogBytes() {
      return socket.writableLength;
    },
    write(frame) {
      socket.write(frame);
    },
    together(writes) {
      socket.cork();
      writes();
      socket.uncork();
    },
    end(code, reason) {
      websocket.close(code, reason);
      scheduler.after(closeTimeoutMs, () => socket.resetAndDestroy());
    },
    destroy() {
      // A plain destroy leaves what the kernel still holds with it, megabytes for a peer that does not read.
      socket.resetAndDestroy();
    },
  };
}

/** An ordinary HTTP answer on a socket that asked for an upgrade. */
export function refuseUpgrade(
  socket: Socket,
  refusal: Refusal,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOf(refusal, requestId);
  const body = JSON.stringify(problem);
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ""}`,
    "Connection: close",
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Cache-Control: no-store",
    `Request-Id: ${requestId}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.once("finish", () => socket.destroySoon());
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}
