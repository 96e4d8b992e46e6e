/**
 * Reads a body, at most `limit` bytes of it. What counts is what arrives: a Content-Length may be absent (chunked) or a lie,
 * so it can only shorten the way to a refusal. Null: larger than the limit; the rest is not read.
 */
export async function readBody(request: Request, limit: number): Promise<Uint8Array | null> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) return null;
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks, length);
    length += value.byteLength;
    if (length > limit) {
      await reader.cancel();
      return null;
    }
    chunks.push(value);
  }
}

/** The media type alone, in lower case; "" where there is none. A charset other than UTF-8 makes it `unknown`. */
export function mediaType(contentType: string | undefined): string {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";");
  const isForeign = parameters.some((parameter) => /^\s*charset\s*=\s*(?!"?utf-8"?\s*$)/.test(parameter));
  return isForeign ? "unknown" : type.trim();
}
