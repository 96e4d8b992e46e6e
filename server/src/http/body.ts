/** `aborted`: the client went away, or the time for the whole request was over. */
export type BodyReading =
  | { readonly kind: "read"; readonly bytes: Uint8Array }
  | { readonly kind: "too_large" }
  | { readonly kind: "aborted" };

/**
 * Reads a body, at most `limit` bytes of it. What counts is what arrives: a Content-Length may be absent (chunked) or a lie,
 * so it can only shorten the way to a refusal.
 */
export async function readBody(request: Request, limit: number): Promise<BodyReading> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) return { kind: "too_large" };
  if (request.body === null) return { kind: "read", bytes: new Uint8Array() };
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = (request.body as ReadableStream<Uint8Array>).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { kind: "read", bytes: Buffer.concat(chunks, length) };
      length += value.byteLength;
      if (length > limit) break;
      chunks.push(value);
    }
    await reader.cancel();
    return { kind: "too_large" };
  } catch {
    return { kind: "aborted" };
  }
}

/** The media type alone, in lower case; "" where there is none. A charset other than UTF-8 makes it `unknown`. */
export function mediaTypeOf(contentType: string | undefined): string {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";");
  const isForeign = parameters.some((parameter) => /^\s*charset\s*=\s*(?!"?utf-8"?\s*$)/.test(parameter));
  return isForeign ? "unknown" : type.trim();
}
