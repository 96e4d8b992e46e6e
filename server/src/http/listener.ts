import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Refusal } from "../ledger/command.ts";
import { refuseUpgrade } from "../stream/websocket.ts";
import type { App } from "./app.ts";
import { MAXIMUM_HEADERS } from "./middleware/header-limit.ts";
import { problemResponse } from "./problem.ts";

/** Node.js queues 511 by default, and a burst of reconnects then waits for the kernel to try again, a second or more. */
const BACKLOG = 4096;

const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 5_000,
};

/** @param newRequestId for requests that are refused before they are requests */
export function createListener(app: App, newRequestId: () => string): Server {
  const onRequest = getRequestListener(app.hono.fetch, {
    // A target or a host that makes no URL.
    errorHandler: () =>
      problemResponse(
        { code: "invalid_request", detail: "The request target or the Host header is not valid." },
        newRequestId(),
      ),
  });
  const server = createServer(LIMITS, (request, response) => void onRequest(request, response));
  server.maxHeadersCount = MAXIMUM_HEADERS + 1;
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else refuseUpgrade(socket as Socket, refusalOf(error.code), newRequestId());
  });
  return server;
}

function refusalOf(code: string | undefined): Refusal {
  if (code === "HPE_HEADER_OVERFLOW") return { code: "headers_too_large", detail: "The headers exceed 16 KiB." };
  if (code === "ERR_HTTP_REQUEST_TIMEOUT")
    return { code: "request_timeout", detail: "The request did not arrive in time." };
  return { code: "invalid_request", detail: "This is no HTTP request." };
}

/** Resolves with the port. Rejects as `listen` does: EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOTFOUND. */
export function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.off("error", reject);
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    });
  });
}

/** Takes no more connections and resolves when the last request is answered; whoever is not done by then is cut off. */
export function stopListening(server: Server, after: (task: () => void) => () => void): Promise<void> {
  return new Promise((resolve) => {
    const cancel = after(() => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}
