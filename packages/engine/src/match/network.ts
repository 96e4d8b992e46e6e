import ipaddr from "ipaddr.js";
import type { Scalar } from "../subject.ts";
import { badValue, type TestOf } from "./test.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Block = readonly [address: Address, prefixLength: number];

const REMEDY = 'Give an address block such as "10.0.0.0/8" or "2001:db8::/32", or one address.';

/** The longest address with a zone that one would meet; longer texts are not looked at. */
const LONGEST = 64;

/** Prefix length of the IPv6 block ::ffff:0:0/96, which holds all IPv4 addresses. */
const MAPPED_PREFIX = 96;

/** EV-30. */
export const cidr: TestOf = (values) => {
  if (values.length === 0) return { path: "/values", message: `Takes at least one value. ${REMEDY}` };
  const blocks: Block[] = [];
  for (const [index, value] of values.entries()) {
    const block = blockOf(value);
    if (block === undefined) return badValue(index, value, REMEDY);
    blocks.push(block);
  }
  return (attribute) => {
    const address = addressOf(attribute);
    return address !== undefined && blocks.some((block) => lies(address, block));
  };
};

function lies(address: Address, [network, prefixLength]: Block): boolean {
  return address.kind() === network.kind() && address.match(network, prefixLength);
}

function blockOf(value: Scalar): Block | undefined {
  if (typeof value !== "string") return undefined;
  const slash = value.indexOf("/");
  const network = strictAddress(slash < 0 ? value : value.slice(0, slash));
  if (network === undefined) return undefined;
  const bits = network.kind() === "ipv4" ? 32 : 128;
  const prefix = slash < 0 ? String(bits) : value.slice(slash + 1);
  const prefixLength = Number(prefix);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix) || prefixLength > bits) return undefined;
  return network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && prefixLength >= MAPPED_PREFIX
    ? [network.toIPv4Address(), prefixLength - MAPPED_PREFIX]
    : [network, prefixLength];
}

function addressOf(value: Scalar): Address | undefined {
  if (typeof value !== "string") return undefined;
  const address = strictAddress(value);
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** Four decimal parts or IPv6: the octal, hexadecimal and short forms of IPv4 are read differently by different parsers. */
function strictAddress(text: string): Address | undefined {
  if (text.length > LONGEST) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return text.includes(":") && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}
