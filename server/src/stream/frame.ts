import { constants, deflateRawSync } from "node:zlib";

/*
 * Websocket frames as a server sends them (RFC 6455 §5.2): unmasked, unfragmented, header and payload in one contiguous
 * buffer. A message is framed once and the same buffer is written to every socket: two writes for one frame are twice the
 * system calls, and building it per connection is what exhausts memory when thousands join.
 */

const FIN_TEXT = 0x81;
/** RFC 7692 §6: the first reserved bit marks a compressed message. */
const RSV1 = 0x40;

export function textFrame(text: string): Buffer {
  return frame(FIN_TEXT, Buffer.from(text, "utf8"));
}

/**
 * The same message for clients that negotiated permessage-deflate. It needs no window of earlier messages, so it can be
 * sent to any of them at any time between uncompressed messages.
 */
export function deflatedTextFrame(text: string): Buffer {
  const deflated = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });
  // A sync flush ends with 00 00 ff ff, which RFC 7692 §7.2.1 has the sender remove.
  return frame(FIN_TEXT | RSV1, deflated.subarray(0, deflated.length - 4));
}

/** Length of the frame of a payload, without building it. */
export function frameLength(payloadBytes: number): number {
  return headerLength(payloadBytes) + payloadBytes;
}

function frame(firstByte: number, payload: Uint8Array): Buffer {
  const start = headerLength(payload.length);
  const framed = Buffer.allocUnsafeSlow(start + payload.length); // lives long: must not pin a slice of the shared pool
  framed[0] = firstByte;
  if (start === 2) framed[1] = payload.length;
  else if (start === 4) {
    framed[1] = 126;
    framed.writeUInt16BE(payload.length, 2);
  } else {
    framed[1] = 127;
    framed.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  framed.set(payload, start);
  return framed;
}

function headerLength(payloadBytes: number): number {
  return payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10;
}
