import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";

export type Direction = "toServer" | "toClient";

/** What the network does to every connection, present and future, until another fault is injected. */
export type Fault =
  | { readonly kind: "none" }
  /** Every byte arrives this much later, in both directions. When the latency falls, what is under way hurries up. */
  | { readonly kind: "latency"; readonly ms: number }
  /** Every byte arrives on its own, in both directions: finds parsers that trust packet borders. */
  | { readonly kind: "slices" }
  /** Nothing arrives and nothing is lost: it waits in the kernel and arrives after the fault, as after a short partition. */
  | { readonly kind: "hold" }
  /** Bytes in one direction vanish; the other works. No FIN or RST tells anyone. */
  | { readonly kind: "half_open"; readonly drop: Direction }
  /** Bytes in both directions vanish; connecting still works. */
  | { readonly kind: "blackhole" }
  /** Each connection ends after this many more bytes in one direction, which still arrive. */
  | { readonly kind: "cut"; readonly afterBytes: number; readonly direction: Direction }
  /** New connections are refused. Present ones go on: call `reset()` to end them too. */
  | { readonly kind: "refuse" };

/**
 * A TCP proxy on loopback that misbehaves on request. A connection that lost bytes is reset as soon as a fault would let
 * bytes through again: TCP never delivers a stream with a hole in it, and neither does this.
 */
export interface TcpProxy {
  readonly port: number;
  /** Open now, on either side: under a silent fault one side may have gone without the other hearing of it. */
  readonly connections: number;
  /** Accepted since the start. */
  readonly accepted: number;
  /** Delivered since the start. */
  readonly delivered: Readonly<Record<Direction, number>>;
  inject(fault: Fault): Promise<void>;
  /** `inject({ kind: "none" })`. */
  heal(): Promise<void>;
  /** Ends every present connection with RST, towards both sides. */
  reset(): void;
  close(): Promise<void>;
}

/** Above this many bytes under way in one direction, the sender is left waiting, as a full socket buffer would leave it. */
const UNDER_WAY_BYTES = 1024 * 1024;

export async function startTcpProxy(target: { readonly port: number; readonly host?: string }): Promise<TcpProxy> {
  const network: Network = { fault: { kind: "none" }, delivered: { toServer: 0, toClient: 0 } };
  const connections = new Set<Connection>();
  let accepted = 0;

  const accept = (client: Socket): void => {
    accepted++;
    const upstream = createConnection({ port: target.port, host: target.host ?? "127.0.0.1", allowHalfOpen: true });
    const connection = connect(client, upstream, network);
    connections.add(connection);
    for (const side of [client, upstream]) {
      side.once("close", () => {
        if (client.closed && upstream.closed) connections.delete(connection);
      });
    }
  };
  let listener = await listen(accept, 0);
  const { port } = listener.address() as AddressInfo;

  const inject = async (fault: Fault): Promise<void> => {
    const wasRefusing = network.fault.kind === "refuse";
    network.fault = fault;
    for (const connection of connections) connection.faultChanged();
    if (fault.kind === "refuse" && !wasRefusing) listener.close();
    if (fault.kind !== "refuse" && wasRefusing) listener = await listen(accept, port);
  };
  const reset = (): void => {
    for (const connection of connections) connection.reset();
  };

  return {
    port,
    get connections() {
      return connections.size;
    },
    get accepted() {
      return accepted;
    },
    delivered: network.delivered,
    inject,
    heal: () => inject({ kind: "none" }),
    reset,
    async close() {
      reset();
      if (!listener.listening) return;
      listener.close();
      await once(listener, "close");
    },
  };
}

async function listen(accept: (client: Socket) => void, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
  server.listen({ port, host: "127.0.0.1", backlog: 4096 });
  await once(server, "listening");
  return server;
}

/** What all connections of one proxy share. */
interface Network {
  fault: Fault;
  readonly delivered: Record<Direction, number>;
}

interface Connection {
  reset(): void;
  faultChanged(): void;
}

function connect(client: Socket, upstream: Socket, network: Network): Connection {
  upstream.setNoDelay(true);
  let endedAbruptly = false;
  const reset = (): void => {
    for (const socket of [client, upstream]) socket.resetAndDestroy();
    // Still connecting: there is nobody to send RST to yet, and resetAndDestroy waits for the connection.
    if (upstream.connecting) upstream.destroy();
  };
  const lanes = [
    createLane({ from: client, to: upstream, direction: "toServer", network, reset }),
    createLane({ from: upstream, to: client, direction: "toClient", network, reset }),
  ];
  for (const socket of [client, upstream]) {
    socket.on("error", () => {
      endedAbruptly = true;
    });
    socket.once("close", () => {
      if (!isSilent(network.fault)) settleAfterClose();
    });
  }
  const settleAfterClose = (): void => {
    if (endedAbruptly) return reset();
    // Both ways were ended in good order, or one side is gone for good and what it sent is under way to the other.
    if (client.destroyed && !upstream.destroyed) lanes[0]?.finish();
    if (upstream.destroyed && !client.destroyed) lanes[1]?.finish();
  };

  return {
    reset,
    faultChanged() {
      const lostBytes = lanes.some((lane) => lane.lostBytes);
      if (lostBytes && network.fault.kind !== "blackhole") return reset();
      for (const lane of lanes) lane.faultChanged();
      if ((client.destroyed || upstream.destroyed) && !isSilent(network.fault)) settleAfterClose();
    },
  };
}

/** Under these faults one side does not learn that the other has gone. */
function isSilent(fault: Fault): boolean {
  return fault.kind === "hold" || fault.kind === "blackhole" || fault.kind === "half_open";
}

interface Lane {
  readonly lostBytes: boolean;
  faultChanged(): void;
  /** No more will come from the sender: ends the receiver once everything under way has arrived. */
  finish(): void;
}

interface LaneOptions {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
  readonly network: Network;
  readonly reset: () => void;
}

/** One direction of one connection: bytes wait in `underWay`, in order, until they are due. */
function createLane({ from, to, direction, network, reset }: LaneOptions): Lane {
  const underWay: { bytes: Buffer; dueAt: number }[] = [];
  let bytesUnderWay = 0;
  let passedSinceFault = 0;
  let lostBytes = false;
  let senderEnded = false;
  let cancelPump: () => void = () => {};
  let pumping = false;

  const drops = (): boolean => {
    const { fault } = network;
    return fault.kind === "blackhole" || (fault.kind === "half_open" && fault.drop === direction);
  };
  const dueNow = (): number => performance.now() + (network.fault.kind === "latency" ? network.fault.ms : 0);
  const deliver = (bytes: Buffer): void => {
    network.delivered[direction] += bytes.length;
    passedSinceFault += bytes.length;
    to.write(bytes);
  };
  /** Delivers up to the cut, ends the receiver in good order so that those bytes arrive, and lets the sender know by RST. */
  const cut = (bytes: Buffer, room: number): void => {
    deliver(bytes.subarray(0, room));
    underWay.length = 0;
    to.end(() => to.destroy());
    from.resetAndDestroy();
  };
  const step = (): "again" | "later" | "idle" => {
    const { fault } = network;
    const head = underWay[0];
    if (to.destroyed || fault.kind === "hold" || !head || to.writableNeedDrain) return "idle";
    if (drops()) {
      lostBytes = true;
      underWay.length = 0;
      bytesUnderWay = 0;
      return "idle";
    }
    if (head.dueAt > performance.now()) {
      pumpAfter(head.dueAt - performance.now());
      return "idle";
    }
    const bytes = fault.kind === "slices" ? head.bytes.subarray(0, 1) : head.bytes;
    if (fault.kind === "cut" && fault.direction === direction && passedSinceFault + bytes.length >= fault.afterBytes) {
      cut(bytes, fault.afterBytes - passedSinceFault);
      return "idle";
    }
    bytesUnderWay -= bytes.length;
    if (bytes.length === head.bytes.length) underWay.shift();
    else head.bytes = head.bytes.subarray(bytes.length);
    deliver(bytes);
    return fault.kind === "slices" ? "later" : "again";
  };
  const pump = (): void => {
    if (pumping) return;
    cancelPump();
    pumping = true;
    let next = step();
    while (next === "again") next = step();
    pumping = false;
    // A turn of the event loop between two slices, or the kernel would join them again.
    if (next === "later") pumpAfter(0);
    const allArrived = senderEnded && underWay.length === 0 && !isSilent(network.fault);
    if (allArrived && !to.writableEnded && !to.destroyed) to.end();
    const mayRead = network.fault.kind !== "hold" && bytesUnderWay < UNDER_WAY_BYTES && !to.writableNeedDrain;
    if (mayRead && from.isPaused()) from.resume();
    if (!mayRead && !from.isPaused()) from.pause();
  };

  const pumpAfter = (delayMs: number): void => {
    if (delayMs > 0) {
      const timer = setTimeout(pump, delayMs);
      cancelPump = () => clearTimeout(timer);
    } else {
      const turn = setImmediate(pump);
      cancelPump = () => clearImmediate(turn);
    }
  };

  from.on("data", (bytes: Buffer) => {
    if (drops()) {
      lostBytes = true;
      return;
    }
    underWay.push({ bytes, dueAt: dueNow() });
    bytesUnderWay += bytes.length;
    pump();
  });
  from.on("end", () => {
    senderEnded = true;
    if (drops()) lostBytes = true; // Its FIN vanished as well.
    pump();
  });
  to.on("drain", pump);
  to.once("close", () => cancelPump());

  return {
    get lostBytes() {
      return lostBytes;
    },
    faultChanged() {
      passedSinceFault = 0;
      const latest = dueNow();
      for (const piece of underWay) piece.dueAt = Math.min(piece.dueAt, latest);
      if (network.fault.kind === "cut" && network.fault.direction === direction && network.fault.afterBytes === 0) {
        return reset();
      }
      pump();
    },
    finish() {
      senderEnded = true;
      pump();
    },
  };
}
