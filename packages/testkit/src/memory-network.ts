import type { FakeTime } from "./fake-time.ts";

/** The server's end of a websocket in memory. */
export interface MemoryPeer {
  readonly url: URL;
  readonly token: string;
  accept(): void;
  /** An HTTP answer instead of an upgrade. */
  refuse(status: number, retryAfterMs?: number): void;
  /** No answer: a system error. */
  fail(code: string): void;
  /** A text frame; null is a binary one. */
  send(text: string | null): void;
  close(code: number): void;
  onMessage: (text: string) => void;
  onEnd: () => void;
}

export interface MemoryRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type MemoryAnswer =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: ReadonlyMap<string, string>;
      readonly body: string;
    }
  | { readonly kind: "failed"; readonly code: string };

/** Whoever answers. Replaced at any time, as a server is. */
export interface MemoryServer {
  socket(peer: MemoryPeer): void;
  request(request: MemoryRequest, answer: (answer: MemoryAnswer) => void): void;
}

/** What becomes of a frame on its way. A cut ends the connection for both sides. */
export type Fate = "deliver" | "drop" | "duplicate" | "cut" | { readonly delayMs: number };

interface Listener {
  opened(): void;
  message(text: string | null): void;
  closed(code: number): void;
  refused(status: number, retryAfterMs: number | undefined): void;
  failed(code: string): void;
}

/** A network without sockets, on fake time. Its `openSocket` and `request` fit the SDK's Network port. */
export interface MemoryNetwork {
  server: MemoryServer;
  latencyMs: () => number;
  fate: (from: "client" | "server", text: string) => Fate;
  /** Changes what arrives at clients: a way to plant the faults of other clients. */
  tamper: (text: string) => string;
  openSocket(
    request: { readonly url: string; readonly protocol: string; readonly token: string },
    listener: Listener,
  ): { send(text: string): void; close(code: number): void; destroy(): void };
  request(
    request: {
      readonly method: "GET" | "POST";
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly timeoutMs: number;
    },
    done: (answer: MemoryAnswer) => void,
  ): () => void;
  /** Sockets and requests that are open. */
  readonly open: number;
  /** Upgrade requests so far, with the fake time at which each came. */
  readonly attempts: { readonly at: number; readonly url: URL }[];
}

/** Nobody listens. */
export const NO_SERVER: MemoryServer = {
  socket: (peer) => peer.fail("ECONNREFUSED"),
  request: (_request, answer) => answer({ kind: "failed", code: "ECONNREFUSED" }),
};

export function createMemoryNetwork(time: Pick<FakeTime, "scheduler" | "clock">): MemoryNetwork {
  const attempts: { at: number; url: URL }[] = [];
  let open = 0;
  const network: MemoryNetwork = {
    server: NO_SERVER,
    latencyMs: () => 1,
    fate: () => "deliver",
    tamper: (text) => text,
    attempts,
    get open() {
      return open;
    },
    openSocket({ url, token }, listener) {
      attempts.push({ at: time.clock.monotonic(), url: new URL(url) });
      open += 1;
      let state: "opening" | "open" | "ended" = "opening";
      const end = (tellClient: (() => void) | null, tellServer: boolean): void => {
        if (state === "ended") return;
        state = "ended";
        open -= 1;
        tellClient?.();
        if (tellServer) peer.onEnd();
      };
      const arrivals = { client: 0, server: 0 };
      /** In the order of sending, whatever the latency of the moment; only a fate with a delay lets a frame be overtaken. */
      const travel = (from: "client" | "server", task: () => void, extraMs = 0): void => {
        const now = time.clock.monotonic();
        const at = Math.max(arrivals[from], now + network.latencyMs());
        if (extraMs === 0) arrivals[from] = at;
        time.scheduler.after(at - now + extraMs, () => {
          if (state !== "ended") task();
        });
      };
      const carry = (from: "client" | "server", text: string | null, deliver: () => void): void => {
        const fate = text === null ? "deliver" : network.fate(from, text);
        if (fate === "drop") return;
        if (fate === "cut") return travel(from, () => end(() => listener.closed(1006), true));
        travel(from, deliver, typeof fate === "object" ? fate.delayMs : 0);
        if (fate === "duplicate") travel(from, deliver);
      };
      const peer: MemoryPeer = {
        url: new URL(url),
        token,
        accept: () =>
          travel("server", () => {
            state = "open";
            listener.opened();
          }),
        refuse: (status, retryAfterMs) =>
          travel("server", () => end(() => listener.refused(status, retryAfterMs), false)),
        fail: (code) => travel("server", () => end(() => listener.failed(code), false)),
        send: (text) => carry("server", text, () => listener.message(text === null ? null : network.tamper(text))),
        close: (code) => travel("server", () => end(() => listener.closed(code), true)),
        onMessage: () => {},
        onEnd: () => {},
      };
      travel("client", () => network.server.socket(peer));
      return {
        send: (text) => carry("client", text, () => peer.onMessage(text)),
        close: () => travel("client", () => end(null, true)),
        destroy: () => end(null, true),
      };
    },
    request({ method, url, headers, body = "", timeoutMs }, done) {
      open += 1;
      let ended = false;
      const finish = (answer: MemoryAnswer | null): void => {
        if (ended) return;
        ended = true;
        open -= 1;
        cancelTimeout();
        if (answer !== null) done(answer);
      };
      const cancelTimeout = time.scheduler.after(timeoutMs, () => finish({ kind: "failed", code: "ETIMEDOUT" }));
      time.scheduler.after(network.latencyMs(), () => {
        if (ended) return;
        network.server.request({ method, url: new URL(url), headers, body }, (answer) => {
          time.scheduler.after(network.latencyMs(), () => finish(answer));
        });
      });
      return () => finish(null);
    },
  };
  return network;
}
