import { isIPv4, isIPv6 } from "node:net";

/*
 * Whom a failed authentication is counted against. The left end of X-Forwarded-For is whatever the client wrote; only the
 * entries that our own proxies appended, counted from the right, say something.
 */

/**
 * @param peer address of the socket
 * @param forwardedFor value of X-Forwarded-For
 * @param trustedProxies how many proxies stand before this server, each appending the address it saw
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trustedProxies: number): string {
  const hops = trustedProxies > 0 ? (forwardedFor ?? "").split(",").map((hop) => hop.trim()) : [];
  const claimed = trustedProxies > 0 ? hops.at(-trustedProxies) : undefined;
  const address = claimed && (isIPv4(claimed) || isIPv6(claimed)) ? claimed : peer;
  return canonicalAddress(address);
}

/** One name per caller: an IPv4 address, or the /64 of an IPv6 one (a single host has all of it to choose from). */
export function canonicalAddress(address: string): string {
  if (isIPv4(address)) return address;
  if (!isIPv6(address)) return "unknown";
  const groups = expand(address.replace(/%.*$/, ""));
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) {
    const [high = 0, low = 0] = groups.slice(6);
    return [high >> 8, high & 255, low >> 8, low & 255].join(".");
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The eight groups of an IPv6 address that `isIPv6` accepted. */
function expand(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const [, head = "", a = 0, b = 0, c = 0, d = 0] = dotted ?? [];
  const text = dotted
    ? `${head}${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`
    : address;
  const [left = "", right] = text.split("::");
  const parse = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const before = parse(left);
  const after = right === undefined ? [] : parse(right);
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}
