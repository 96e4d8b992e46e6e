import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalAddress, clientAddress } from "./client-address.ts";

describe("the address failures are counted against", () => {
  it.each([
    ["nobody is trusted", "10.0.0.1", "192.0.2.7", 0, "10.0.0.1"],
    ["one proxy reports", "10.0.0.1", "192.0.2.7", 1, "192.0.2.7"],
    ["the client wrote a list of its own before it", "10.0.0.1", "6.6.6.6, 7.7.7.7, 192.0.2.7", 1, "192.0.2.7"],
    ["two proxies report", "10.0.0.1", "6.6.6.6, 192.0.2.7, 10.0.0.2", 2, "192.0.2.7"],
    ["the list is shorter than the chain of proxies", "10.0.0.1", "192.0.2.7", 2, "10.0.0.1"],
    ["there is no list", "10.0.0.1", undefined, 1, "10.0.0.1"],
    ["the entry is no address", "10.0.0.1", "unknown", 1, "10.0.0.1"],
    ["the entry is empty", "10.0.0.1", ",", 1, "10.0.0.1"],
  ])("if %s", (_case, peer, forwardedFor, trusted, expected) => {
    expect(clientAddress(peer, forwardedFor, trusted)).toBe(expected);
  });

  it.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::FFFF:C000:0207", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:0002::9", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.7", "64:ff9b:0:0::/64"],
    ["", "unknown"],
    ["localhost", "unknown"],
  ])("%s is counted as %s", (address, expected) => {
    expect(canonicalAddress(address)).toBe(expected);
  });

  it("has one form, however it is written", () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        expect(canonicalAddress(address.toUpperCase())).toBe(canonicalAddress(address.toLowerCase()));
      }),
    );
  });
});
