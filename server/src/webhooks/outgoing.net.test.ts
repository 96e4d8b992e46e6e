import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { LIMITS } from "@bunting/contracts/literals";
import { createFakeTime, type FakeTime } from "@bunting/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createNodeClock, createNodeScheduler } from "../platform/node.ts";
import { createOutgoing, type OutgoingRequest, type Resolve, type ResolvedAddress } from "./outgoing.ts";

let servers: Server[] = [];
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  servers = [];
});

/** A receiver on this machine. Gives its port. */
async function listen(receive: RequestListener): Promise<number> {
  const server = createServer(receive);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const requestTo = (url: string): OutgoingRequest => ({ method: "POST", url, headers: { "x-canary": "1" }, body: "{}" });

/** Real time, for what comes over a socket. */
const real = { clock: createNodeClock(), scheduler: createNodeScheduler() };

const loopback: readonly ResolvedAddress[] = [{ address: "127.0.0.1", family: 4 }];

describe("NO-18 a request to a pair that the operator lists", () => {
  it("arrives as it was given, with its length and without a word of who is behind it", async () => {
    let seen: { readonly body: string; readonly headers: object; readonly method: string | undefined } | undefined;
    const port = await listen((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += String(chunk);
      });
      request.on("end", () => {
        seen = { body, headers: request.headers, method: request.method };
        response.writeHead(202).end("taken");
      });
    });
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
    const answer = await outgoing.send(requestTo(`http://127.0.0.1:${port}/hook?x=1`));
    expect(answer).toMatchObject({ ok: true, status: 202, byteCount: 5 });
    expect(seen).toMatchObject({
      body: "{}",
      method: "POST",
      headers: { "content-length": "2", "x-canary": "1", "user-agent": "Bunting", connection: "close" },
    });
  });

  it("goes nowhere if it is not listed, not even as a name of this machine", async () => {
    let count = 0;
    const port = await listen((_, response) => {
      count++;
      response.end();
    });
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port + 1}`]) });
    for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
      for (const scheme of ["http", "https"]) {
        const answer = await outgoing.send(requestTo(`${scheme}://${host}:${port}/`));
        expect(answer).toMatchObject({ ok: false, failure: "address_refused" });
      }
    }
    expect(count).toBe(0);
  });
});

describe("NO-19 a name is judged where it becomes an address", () => {
  /** Gives these answers, one after the other. */
  const answering = (...answers: (readonly ResolvedAddress[])[]): { resolve: Resolve; asked: string[] } => {
    const asked: string[] = [];
    return {
      asked,
      resolve: (hostname) => {
        asked.push(hostname);
        return Promise.resolve(answers[Math.min(asked.length, answers.length) - 1] ?? []);
      },
    };
  };

  it("and refused if it leads inside", async () => {
    const { resolve } = answering(loopback);
    const outgoing = createOutgoing({ ...real, allowed: new Set(), resolve });
    expect(await outgoing.send(requestTo("https://rebound.example/"))).toMatchObject({
      ok: false,
      failure: "address_refused",
    });
  });

  it("and refused if one of several addresses does, whatever the order", async () => {
    const open = { address: "8.8.8.8", family: 4 };
    const inside = { address: "fd00::1", family: 6 };
    for (const addresses of [
      [open, inside],
      [inside, open],
    ]) {
      const { resolve } = answering(addresses);
      const outgoing = createOutgoing({ ...real, allowed: new Set(), resolve });
      expect(await outgoing.send(requestTo("https://mixed.example/"))).toMatchObject({ failure: "address_refused" });
    }
  });

  it("once, and connected to at the address that was judged: a name that answers otherwise the next time is not asked", async () => {
    let host: string | undefined;
    const port = await listen((request, response) => {
      host = request.headers.host;
      response.end();
    });
    const { resolve, asked } = answering(loopback, [{ address: "127.0.0.99", family: 4 }]);
    const outgoing = createOutgoing({ ...real, allowed: new Set([`hooks.internal:${port}`]), resolve });
    expect(await outgoing.send(requestTo(`http://hooks.internal:${port}/`))).toMatchObject({ ok: true, status: 200 });
    expect(asked).toEqual(["hooks.internal"]);
    expect(host).toBe(`hooks.internal:${port}`);
  });

  it("and a failure of the connection, if it has no address", async () => {
    const { resolve } = answering([]);
    const outgoing = createOutgoing({ ...real, allowed: new Set(), resolve });
    expect(await outgoing.send(requestTo("https://nobody.example/"))).toMatchObject({ failure: "connection" });
  });
});

describe("NO-20 nothing is followed", () => {
  it.each([301, 302, 303, 307, 308])("a %i is an answer, and where it points is left alone", async (status) => {
    const paths: (string | undefined)[] = [];
    const port = await listen((request, response) => {
      paths.push(request.url);
      response.writeHead(status, { location: "/elsewhere" }).end();
    });
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
    expect(await outgoing.send(requestTo(`http://127.0.0.1:${port}/hook`))).toMatchObject({ ok: true, status });
    expect(paths).toEqual(["/hook"]);
  });

  it("no proxy of the environment is asked", async () => {
    let proxied = 0;
    const proxy = await listen((_, response) => {
      proxied++;
      response.end();
    });
    const port = await listen((_, response) => void response.end());
    const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "NODE_USE_ENV_PROXY"];
    const before = names.map((name) => process.env[name]);
    for (const name of names) process.env[name] = name.startsWith("NODE") ? "1" : `http://127.0.0.1:${proxy}`;
    try {
      const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
      expect(await outgoing.send(requestTo(`http://127.0.0.1:${port}/`))).toMatchObject({ ok: true });
      expect(proxied).toBe(0);
    } finally {
      for (const [index, name] of names.entries()) {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      }
    }
  });

  it("a connection serves one request", async () => {
    const ports = new Set<number | undefined>();
    const port = await listen((request, response) => {
      ports.add(request.socket.remotePort);
      response.end();
    });
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
    for (let count = 0; count < 3; count++) await outgoing.send(requestTo(`http://127.0.0.1:${port}/`));
    expect(ports.size).toBe(3);
  });
});

describe("NO-21 an answer has limits", () => {
  let time: FakeTime;
  beforeEach(() => {
    time = createFakeTime();
  });

  /** Sends, lets the time run out once the receiver says so, and gives the answer. */
  async function sendUntil(receive: (reached: () => void) => RequestListener) {
    let reached = (): void => undefined;
    const arrived = new Promise<void>((resolve) => {
      reached = resolve;
    });
    let closed = (): void => undefined;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const port = await listen((request, response) => {
      request.socket.on("close", closed);
      receive(reached)(request, response);
    });
    const outgoing = createOutgoing({ ...time, allowed: new Set([`127.0.0.1:${port}`]) });
    const sent = outgoing.send(requestTo(`http://127.0.0.1:${port}/`));
    await arrived;
    time.advance(LIMITS.deliveryTimeoutMs - 1);
    expect(time.pending).toBe(1);
    time.advance(1);
    const answer = await sent;
    await gone;
    expect(time.pending).toBe(0);
    return answer;
  }

  it("of time, when nothing is answered", async () => {
    const answer = await sendUntil((reached) => reached);
    expect(answer).toEqual({ ok: false, failure: "timeout", durationMs: LIMITS.deliveryTimeoutMs, byteCount: 0 });
  });

  it("of time, when the body drips", async () => {
    const answer = await sendUntil((reached) => (_, response) => {
      response.writeHead(200).write("a", reached);
    });
    expect(answer).toMatchObject({ ok: false, failure: "timeout" });
  });

  it.each([
    [LIMITS.outgoingAnswerBytes, { ok: true, status: 200, byteCount: LIMITS.outgoingAnswerBytes }],
    [LIMITS.outgoingAnswerBytes + 1, { ok: false, failure: "answer_too_large" }],
  ])("of size: %i bytes", async (size, expected) => {
    const port = await listen((_, response) => void response.end("x".repeat(size)));
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
    expect(await outgoing.send(requestTo(`http://127.0.0.1:${port}/`))).toMatchObject(expected);
  });

  it("of size, when it never ends", async () => {
    const port = await listen((_, response) => {
      const pour = (): void => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
      };
      response.on("drain", pour);
      pour();
    });
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
    expect(await outgoing.send(requestTo(`http://127.0.0.1:${port}/`))).toMatchObject({ failure: "answer_too_large" });
  });

  it.each<[string, RequestListener]>([
    ["breaks off before its head", (request) => request.socket.destroy()],
    [
      "breaks off within its body",
      (request, response) => {
        response.writeHead(200, { "content-length": "100" });
        response.write("a", () => request.socket.destroy());
      },
    ],
    ["is no HTTP", (request) => void request.socket.end("hello\r\n\r\n")],
    [
      "changes the protocol",
      (request) =>
        void request.socket.end("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    ],
  ])("and is a failure of the connection if it %s", async (_, receive) => {
    const port = await listen(receive);
    const outgoing = createOutgoing({ ...real, allowed: new Set([`127.0.0.1:${port}`]) });
    expect(await outgoing.send(requestTo(`http://127.0.0.1:${port}/`))).toMatchObject({
      ok: false,
      failure: "connection",
    });
  });
});
