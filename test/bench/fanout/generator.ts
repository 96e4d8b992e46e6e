import { connect, type Socket } from "node:net";

/*
 * Thousands of clients in one process, as cheap as they can be: raw sockets and a search for a marker in what arrives. What is
 * measured is the server; a client that parsed its messages would measure itself.
 */

export type Order =
  | { readonly type: "connect"; readonly count: number; readonly port: number; readonly token: string }
  /** From now on look for this text, at most once on each socket. */
  | { readonly type: "watch"; readonly marker: string }
  | { readonly type: "ack"; readonly revision: number };

export type Report =
  | { readonly type: "connected"; readonly ms: number }
  | { readonly type: "watching" }
  /** Arrival on the first and on the last socket (CLOCK_MONOTONIC ms), and the size of what arrived. */
  | { readonly type: "seen"; readonly firstAt: number; readonly lastAt: number; readonly bytes: number }
  | { readonly type: "acked" };

const CONNECTING_AT_ONCE = 200;
const ACKING_AT_ONCE = 500;

/** Time on the clock that main.ts and the loop in C read too. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

class Crowd {
  readonly #sockets: Socket[] = [];
  /** One for all sockets: what is in it is looked at before the next read. */
  readonly #buffer = Buffer.alloc(256 * 1024);
  #marker = Buffer.from("no marker yet");
  #seen = new Set<number>();
  #firstAt = 0;
  #revision = 0;

  async obey(order: Order): Promise<void> {
    switch (order.type) {
      case "connect":
        return this.#connectAll(order);
      case "watch":
        this.#marker = Buffer.from(order.marker);
        this.#seen = new Set();
        return report({ type: "watching" });
      case "ack":
        return this.#ackAll(order.revision);
    }
  }

  async #connectAll({ count, port, token }: Extract<Order, { type: "connect" }>): Promise<void> {
    const startedAt = now();
    while (this.#sockets.length < count) {
      const batch = Math.min(CONNECTING_AT_ONCE, count - this.#sockets.length);
      await Promise.all(Array.from({ length: batch }, () => this.#connect(port, token)));
    }
    report({ type: "connected", ms: now() - startedAt });
  }

  /** Resolves without a socket where the server sheds load: the next batch tries again. */
  #connect(port: number, token: string): Promise<void> {
    return new Promise((resolve, reject) => {
      let index = -1; // none before the welcome
      const callback = (length: number, buffer: Uint8Array): boolean => {
        const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
        if (index >= 0) this.#arrived(index, socket, bytes);
        else if (bytes.includes('"type":"welcome"')) {
          index = this.#sockets.push(socket) - 1;
          resolve();
        } else if (bytes.includes("HTTP/1.1 503")) resolve();
        return true;
      };
      const socket = connect({ port, host: "127.0.0.1", noDelay: true, onread: { buffer: this.#buffer, callback } });
      socket.on("error", reject);
      socket.write(
        "GET /sdk/v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
          `Sec-WebSocket-Protocol: bunting.v1\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      );
    });
  }

  #arrived(index: number, socket: Socket, bytes: Buffer): void {
    if (bytes.includes(this.#marker) && !this.#seen.has(index)) {
      const at = now();
      if (this.#seen.size === 0) this.#firstAt = at;
      this.#seen.add(index);
      if (this.#seen.size < this.#sockets.length) return;
      report({ type: "seen", firstAt: this.#firstAt, lastAt: at, bytes: bytes.length });
    } else if (bytes.includes('"type":"heartbeat"')) socket.write(ackFrame(this.#revision));
  }

  async #ackAll(revision: number): Promise<void> {
    this.#revision = revision;
    const frame = ackFrame(revision);
    for (const [index, socket] of this.#sockets.entries()) {
      socket.write(frame);
      if (index % ACKING_AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    report({ type: "acked" });
  }
}

/** Masked with zeros, which is a mask. */
function ackFrame(revision: number): Buffer {
  const text = Buffer.from(JSON.stringify({ type: "ack", revision, heldMs: 0 }));
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]);
}

function report(what: Report): void {
  process.send?.(what);
}

const crowd = new Crowd();
process.on("message", (order: Order) => void crowd.obey(order));
