import ipaddr from "ipaddr.js";

/*
 * Where the server may send requests that somebody else named: nowhere inside, so that no caller reaches through it what
 * he cannot reach himself. Pure.
 */

/** What the operator allows beside: exact pairs, as `BUNTING_OUTGOING_ALLOW` lists them. There, http and private addresses too. */
export type AllowedHosts = ReadonlySet<string>;

export type JudgedUrl =
  | { readonly ok: true; readonly url: URL; readonly isAllowed: boolean }
  /** Without the address itself: it may hold a password. */
  | { readonly ok: false; readonly why: string };

/**
 * Judges all of an address that can be judged without asking the name service. What `URL` reads is what is connected to, so
 * hexadecimal, octal, shortened and full-width forms of an address have become the plain one here.
 */
export function judgeUrl(text: string, allowed: AllowedHosts): JudgedUrl {
  if (!URL.canParse(text)) return refuse("it is no address");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return refuse("it is not https");
  if (url.username !== "" || url.password !== "") return refuse("it has a user or a password in it");
  if (allowed.has(hostAndPort(url))) return { ok: true, url, isAllowed: true };
  if (url.protocol !== "https:") return refuse("it is not https");
  const host = hostOf(url);
  if (ipaddr.isValid(host) && !isPublicAddress(host)) return refuse("it is not a public address");
  return { ok: true, url, isAllowed: false };
}

const refuse = (why: string) => ({ ok: false, why }) as const;

/**
 * Whether an IP address is one of the internet. Whatever is special is not: private, loopback, link-local (and there the
 * metadata services of clouds), shared (CGNAT), multicast, documentation; and of IPv6 only what is handed out for use,
 * 2000::/3, since forms that embed an IPv4 address lie elsewhere or are known by their range.
 *
 * {@link https://www.iana.org/assignments/iana-ipv6-special-registry}
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  if (address.range() !== "unicast") return false;
  return address.kind() === "ipv4" || address.match(GLOBAL_UNICAST);
}

const GLOBAL_UNICAST = ipaddr.parseCIDR("2000::/3");

/** The host without the brackets of IPv6. */
function hostOf({ hostname }: URL): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}

/** `example.com:443`, `[::1]:9090`: as `URL` writes it, with the port always there. */
function hostAndPort({ hostname, port, protocol }: URL): string {
  return `${hostname}:${port || (protocol === "https:" ? "443" : "80")}`;
}

/** One entry of `BUNTING_OUTGOING_ALLOW` in the form of {@link hostAndPort}; null if it is none: no path, no `*`, no port left out. */
export function parseAllowedHost(text: string): string | null {
  const port = /^(?:[^\s/@?#*\\:]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})$/.exec(text)?.[1];
  if (port === undefined || !URL.canParse(`http://${text}`)) return null;
  return `${new URL(`http://${text}`).hostname}:${Number(port)}`;
}
