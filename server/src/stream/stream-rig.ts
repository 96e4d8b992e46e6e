import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { SUBPROTOCOL } from "@bunting/contracts/literals";
import type { ServerUnderTest } from "../http/server-under-test.ts";

/*
 * What tests of the stream do to a server beside speaking to it properly.
 */

/** Creates a flag that is split in production, and answers the revision it made. */
export async function createFlag(under: ServerUnderTest, key: string, environments: object = {}): Promise<number> {
  const { status, text } = await under.request("POST", "/api/v1/flags", { body: { key, environments } });
  if (status !== 201) throw new Error(`No flag was made: ${text}`);
  return (await position(under)).revision;
}

/** Changes a percentage in production, and answers the revision it made. */
export async function setPercent(under: ServerUnderTest, flag: string, on: number): Promise<number> {
  const { status, body, text } = await under.request("PATCH", `/api/v1/environments/production/flags/${flag}`, {
    body: { fallthrough: { split: { on, off: 100 - on } } },
  });
  if (status !== 200) throw new Error(`Not changed: ${text}`);
  return (body.position as { readonly revision: number }).revision;
}

export async function position(under: ServerUnderTest): Promise<{ readonly epoch: string; readonly revision: number }> {
  const { body } = await under.request("GET", "/api/v1/environments/production");
  return body.position as { readonly epoch: string; readonly revision: number };
}

/** The value of a metric, summed over its labels; 0 if it is not there. */
export async function metric(under: ServerUnderTest, name: string, labels = ""): Promise<number> {
  const { text } = await under.request("GET", "/metrics");
  const lines = text.split("\n").filter((line) => line.startsWith(name) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/** An upgraded socket on which the test writes frames by hand. */
export interface RawStream {
  readonly socket: Socket;
  /** Head of the answer to the upgrade. */
  readonly answer: string;
  /** Everything that came after it. */
  readonly received: () => Buffer;
  /** Resolves with the close code the server sent, or null if it ended without one. */
  readonly closeCode: Promise<number | null>;
}

export async function openRawStream(under: ServerUnderTest, token: string): Promise<RawStream> {
  const socket = connect(under.port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(
    `GET /sdk/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nAuthorization: Bearer ${token}\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
  );
  let bytes = Buffer.alloc(0);
  let answer: string | null = null;
  const closeCode = new Promise<number | null>((resolve) => {
    socket.on("error", () => {});
    socket.on("close", () => resolve(findCloseCode(bytes)));
  });
  await new Promise<void>((resolve) => {
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf("\r\n\r\n");
      if (answer !== null || end === -1) return;
      answer = bytes.subarray(0, end).toString();
      bytes = bytes.subarray(end + 4);
      resolve();
    });
    socket.on("close", resolve);
  });
  return { socket, answer: answer ?? "", received: () => bytes, closeCode };
}

/** A client's frame: masked, final, of any opcode, and as wrong as `flaws` say. */
export function clientFrame(
  payload: string | Buffer,
  flaws: {
    readonly opcode?: number;
    readonly unmasked?: boolean;
    readonly reserved?: number;
    readonly open?: boolean;
  } = {},
): Buffer {
  const { opcode = 1, unmasked = false, reserved = 0, open = false } = flaws;
  const body = Buffer.from(payload);
  const header =
    body.length < 126
      ? Buffer.from([0, body.length])
      : body.length < 65_536
        ? Buffer.from([0, 126, body.length >> 8, body.length & 255])
        : Buffer.from([
            0,
            127,
            0,
            0,
            0,
            0,
            body.length >>> 24,
            (body.length >> 16) & 255,
            (body.length >> 8) & 255,
            body.length & 255,
          ]);
  header[0] = (open ? 0 : 0x80) | reserved | opcode;
  if (unmasked) return Buffer.concat([header, body]);
  header[1] = (header[1] ?? 0) | 0x80;
  const mask = [1, 2, 3, 4];
  return Buffer.concat([header, Buffer.from(mask), body.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}

/** Walks over the server's frames to the close frame. */
function findCloseCode(bytes: Buffer): number | null {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = (bytes[at] ?? 0) & 0x0f;
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (opcode === 8) return length >= 2 ? bytes.readUInt16BE(at + header) : null;
    at += header + length;
  }
  return null;
}
