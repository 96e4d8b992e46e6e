import { once } from "node:events";
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventually } from "./eventually.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

vi.setConfig({ testTimeout: 60_000 });

let server: Server;
let proxy: TcpProxy;
const clients: Socket[] = [];

beforeEach(async () => {
  server = createServer((socket) => void socket.on("error", () => {}).pipe(socket)); // Echoes.
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await startTcpProxy({ port: (server.address() as AddressInfo).port });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  server.close();
});

it("carries bytes both ways, in order", async () => {
  const client = await connect();
  const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
  client.socket.write(sent);
  await client.receives(sent.length);
  expect(client.received().equals(sent)).toBe(true);
  expect(proxy.delivered).toEqual({ toServer: sent.length, toClient: sent.length });
});

it("passes the end of one side on, and forgets a connection that both have left", async () => {
  const client = await connect();
  client.socket.end("last words");
  await once(client.socket, "close");
  expect(client.received().toString()).toBe("last words");
  await eventually(() => proxy.connections === 0);
  expect(proxy.accepted).toBe(1);
});

it("delays bytes, and delivers them in order when the latency falls", async () => {
  const client = await connect();
  await proxy.inject({ kind: "latency", ms: 3_600_000 });
  client.socket.write("first ");
  await otherTrafficPasses();
  expect(client.received().length).toBe(0);
  await proxy.inject({ kind: "latency", ms: 5 });
  client.socket.write("second");
  await client.receives("first second".length);
  expect(client.received().toString()).toBe("first second");
});

it("cuts the stream into single bytes", async () => {
  const client = await connect();
  await proxy.inject({ kind: "slices" });
  client.socket.write("byte by byte");
  await client.receives("byte by byte".length);
  expect(client.received().toString()).toBe("byte by byte");
  expect(client.chunks.length).toBeGreaterThan(1);
});

it("holds bytes back and loses none of them", async () => {
  const client = await connect();
  await proxy.inject({ kind: "hold" });
  client.socket.write("kept");
  await otherTrafficPasses();
  expect(client.received().length).toBe(0);
  await proxy.heal();
  await client.receives(4);
  expect(client.received().toString()).toBe("kept");
});

it("holds back what is under way as well", async () => {
  const client = await connect();
  await proxy.inject({ kind: "latency", ms: 3_600_000 });
  client.socket.write("kept");
  await otherTrafficPasses();
  await proxy.inject({ kind: "hold" });
  await otherTrafficPasses();
  expect(proxy.delivered).toEqual({ toServer: 0, toClient: 0 });
  await proxy.heal();
  await client.receives(4);
  expect(client.received().toString()).toBe("kept");
});

describe("a fault that loses bytes", () => {
  it("tells nobody while it lasts, and resets the connection instead of delivering a stream with a hole", async () => {
    const client = await connect();
    await proxy.inject({ kind: "blackhole" });
    client.socket.write("lost");
    await otherTrafficPasses();
    expect(client.received().length).toBe(0);
    expect(client.socket.destroyed).toBe(false);

    const closed = client.closed();
    await proxy.heal();
    await closed;
    expect(client.received().length).toBe(0);
    expect(client.error()).toBe("ECONNRESET");
  });

  it("spares a connection that lost nothing", async () => {
    const client = await connect();
    await proxy.inject({ kind: "blackhole" });
    await proxy.heal();
    client.socket.write("here");
    await client.receives(4);
    expect(proxy.connections).toBe(1);
  });

  it("may be in one direction only", async () => {
    const client = await connect();
    await proxy.inject({ kind: "half_open", drop: "toClient" });
    client.socket.write("heard but not answered");
    await eventually(() => proxy.delivered.toServer === "heard but not answered".length);
    await otherTrafficPasses();
    expect(client.received().length).toBe(0);
    expect(proxy.delivered.toClient).toBe(0);
  });

  it("hides from the server that the client has gone", async () => {
    const serverSide = nextServerSocket();
    const client = await connect();
    const socket = await serverSide;
    await proxy.inject({ kind: "blackhole" });
    client.socket.resetAndDestroy();
    await otherTrafficPasses();
    expect(socket.destroyed).toBe(false);
    expect(proxy.connections).toBe(1);
    await proxy.heal();
    await eventually(() => socket.destroyed, { what: "the server to hear of it" });
    expect(proxy.connections).toBe(0);
  });
});

it.each([0, 1, 7, 1000])("cuts a connection after exactly %i bytes", async (afterBytes) => {
  await proxy.inject({ kind: "cut", afterBytes, direction: "toClient" });
  const client = await connect();
  const closed = client.closed();
  client.socket.write(Buffer.alloc(2000, 1));
  await closed;
  expect(client.received().length).toBe(afterBytes);
});

it("resets every connection on request", async () => {
  const [one, two] = [await connect(), await connect()];
  await eventually(() => proxy.connections === 2);
  const closed = Promise.all([one.closed(), two.closed()]);
  proxy.reset();
  await closed;
  expect([one.error(), two.error()]).toEqual(["ECONNRESET", "ECONNRESET"]);
});

it("refuses new connections, keeps the present ones, and accepts again on the same port", async () => {
  const client = await connect();
  await eventually(() => proxy.connections === 1);
  await proxy.inject({ kind: "refuse" });
  await expect(connect()).rejects.toMatchObject({ code: "ECONNREFUSED" });
  client.socket.write("still");
  await client.receives(5);
  await proxy.heal();
  const later = await connect();
  later.socket.write("again");
  await later.receives(5);
});

it("resets the client if nobody listens behind it", async () => {
  server.close();
  await once(server, "close");
  const client = await connect();
  await client.closed();
  expect(client.error()).toBe("ECONNRESET");
});

it("makes a sender wait whose receiver does not read", async () => {
  const serverSide = nextServerSocket();
  const client = await connect();
  (await serverSide).unpipe().pause();
  const megabyte = Buffer.alloc(1024 * 1024);
  for (let sent = 0; sent < 64; sent++) client.socket.write(megabyte);
  for (let passed = 0; passed < 24; passed++) await otherTrafficPasses(megabyte);
  // Kernel buffers and the proxy take a few megabytes; the rest stays with the sender.
  expect(client.socket.writableLength).toBeGreaterThan(32 * megabyte.length);
});

/** A connection of its own that does get its echo back, through another proxy: by then a wrong delivery would have come. */
async function otherTrafficPasses(bytes = Buffer.from("three times over")): Promise<void> {
  const witness = await startTcpProxy({ port: (server.address() as AddressInfo).port });
  for (let round = 0; round < 3; round++) {
    const socket = createConnection({ port: witness.port, host: "127.0.0.1" });
    socket.end(bytes);
    let echoed = 0;
    for await (const chunk of socket) echoed += (chunk as Buffer).length;
    expect(echoed).toBe(bytes.length);
  }
  await witness.close();
}

async function nextServerSocket(): Promise<Socket> {
  const [socket] = (await once(server, "connection")) as [Socket];
  return socket;
}

async function connect() {
  const socket = createConnection({ port: proxy.port, host: "127.0.0.1" });
  clients.push(socket);
  await once(socket, "connect");
  const chunks: Buffer[] = [];
  let error: string | undefined;
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", (cause: NodeJS.ErrnoException) => {
    error = cause.code;
  });
  const received = (): Buffer => Buffer.concat(chunks);
  return {
    socket,
    chunks,
    received,
    error: () => error,
    receives: (bytes: number) => eventually(() => received().length >= bytes, { what: `${bytes} bytes` }),
    closed: async () => {
      if (!socket.closed) await new Promise<void>((resolve) => void socket.once("close", () => resolve()));
    },
  };
}
