import { createHmac } from "node:crypto";

/** The header that proves who sent a delivery, and when. */
export const SIGNATURE_HEADER = "Bunting-Signature";

/** How far the time in a signature may be from a receiver's clock: what it accepts longer, somebody can play back longer. */
export const SIGNATURE_TOLERANCE_SECONDS = 300;

/**
 * `t=<Unix seconds>,v1=<HMAC-SHA-256 of "t.body", hex>`, with one `v1` for each live secret, newest first. A receiver takes
 * the delivery if any of them fits.
 */
export function signatureOf(body: string, secrets: readonly string[], unixSeconds: number): string {
  const proofs = secrets.map((secret) => {
    const proof = createHmac("sha256", secret).update(`${unixSeconds}.${body}`).digest("hex");
    return `v1=${proof}`;
  });
  return [`t=${unixSeconds}`, ...proofs].join(",");
}
