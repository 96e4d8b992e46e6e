import { once } from "node:events";
import { createServer } from "node:net";
import type { Writable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as ws from "ws";
import { deflatedTextFrame, frameLength, textFrame } from "./frame.ts";

/** Exported by ws, but not in its types. */
const { PerMessageDeflate, Receiver } = ws as unknown as {
  readonly PerMessageDeflate: new (options: { isServer: boolean }) => { accept(parameters: object[]): void };
  readonly Receiver: new (options: { isServer: boolean; extensions: object }) => Writable;
};

/** What the ws library, which wrote none of it, reads in the bytes, cut into pieces of any size. */
async function decode(bytes: Buffer, pieceBytes: number): Promise<string[]> {
  const inflate = new PerMessageDeflate({ isServer: false });
  inflate.accept([{ server_no_context_takeover: [true], client_no_context_takeover: [true] }]);
  const receiver = new Receiver({ isServer: false, extensions: { "permessage-deflate": inflate } });
  const texts: string[] = [];
  receiver.on("message", (data: Buffer) => texts.push(data.toString("utf8")));
  for (let at = 0; at < bytes.length; at += pieceBytes) receiver.write(bytes.subarray(at, at + pieceBytes));
  receiver.end();
  await once(receiver, "finish");
  return texts;
}

describe("ST-22 a message is one unfragmented text frame", () => {
  it.each([0, 1, 125, 126, 65_535, 65_536, 300_000])("of %i bytes", async (bytes) => {
    const text = "x".repeat(bytes);
    const frame = textFrame(text);
    expect(frame.length).toBe(frameLength(bytes));
    expect(frame[0]).toBe(0x81);
    expect((frame[1] ?? 0) & 0x80).toBe(0); // servers do not mask
    expect(await decode(frame, 1_000)).toEqual([text]);
  });

  it("holds any text, in any pieces, plain and compressed in turn", async () => {
    const text = fc.string({ unit: "grapheme", maxLength: 400 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(text, fc.boolean()), { maxLength: 8 }),
        fc.integer({ min: 1, max: 50 }),
        async (parts, piece) => {
          const frames = parts.map(([part, deflated]) => (deflated ? deflatedTextFrame(part) : textFrame(part)));
          expect(await decode(Buffer.concat(frames), piece)).toEqual(parts.map(([part]) => part));
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("ST-53 a compressed message needs no earlier one", () => {
  it("marks itself by RSV1 and is smaller", async () => {
    const text = JSON.stringify(Array.from({ length: 500 }, (_, index) => ({ key: `flag-${index}`, enabled: true })));
    const frame = deflatedTextFrame(text);
    expect(frame[0]).toBe(0xc1);
    expect(frame.length).toBeLessThan(text.length / 3);
    expect(await decode(Buffer.concat([frame, frame]), 64)).toEqual([text, text]);
  });
});

const Builtin = (globalThis as { WebSocket?: typeof WebSocket }).WebSocket;

describe.skipIf(!Builtin)("the client built into Node.js", () => {
  it("reads both kinds of frames", async () => {
    const { createHash } = await import("node:crypto");
    const server = createServer((socket) => {
      socket.once("data", (request) => {
        const key = /sec-websocket-key: (.*)\r\n/i.exec(request.toString())?.[1] ?? "";
        const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n\r\n",
        );
        socket.write(Buffer.concat([textFrame("plain ü"), deflatedTextFrame("deflated ü"), textFrame("plain again")]));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const client = new (Builtin as typeof WebSocket)(`ws://127.0.0.1:${port}`);
    const texts: string[] = [];
    await new Promise<void>((resolve) => {
      client.addEventListener("message", ({ data }) => {
        if (texts.push(String(data)) === 3) resolve();
      });
    });
    expect(texts).toEqual(["plain ü", "deflated ü", "plain again"]);
    client.close();
    server.close();
  });
});
