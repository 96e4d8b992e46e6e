import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isPublicAddress, judgeUrl, parseAllowedHost } from "./address.ts";

const NONE = new Set<string>();
const verdictOf = (url: string, allowed: ReadonlySet<string> = NONE): string => {
  const judged = judgeUrl(url, allowed);
  return judged.ok ? "ok" : judged.why;
};

describe("NO-18 which addresses requests may go to", () => {
  it.each([
    ["https://hooks.example.com/services/T0/B0/x"],
    ["https://hooks.example.com:8443/"],
    ["https://8.8.8.8/"],
    ["https://[2606:4700::1111]/"],
    ["HTTPS://EXAMPLE.COM"],
  ])("%s is one", (url) => expect(verdictOf(url)).toBe("ok"));

  it.each([
    ["http://hooks.example.com/", "it is not https"],
    ["ftp://hooks.example.com/", "it is not https"],
    ["file:///etc/passwd", "it is not https"],
    ["gopher://127.0.0.1:6379/_FLUSHALL", "it is not https"],
    ["data:text/plain,x", "it is not https"],
    ["hooks.example.com", "it is no address"],
    ["//hooks.example.com/", "it is no address"],
    ["https://", "it is no address"],
    ["https://user@hooks.example.com/", "it has a user or a password in it"],
    ["https://user:secret@hooks.example.com/", "it has a user or a password in it"],
    ["https://hooks.example.com@127.0.0.1/", "it has a user or a password in it"],
  ])("%s is none: %s", (url, why) => expect(verdictOf(url)).toBe(why));

  it("takes http and private addresses at exactly the pairs that the operator lists", () => {
    const allowed = new Set(["10.0.0.5:9090", "hooks.internal:80", "[fd00::5]:443"]);
    for (const url of ["http://10.0.0.5:9090/api", "http://hooks.internal/x", "https://[fd00::5]/"]) {
      expect(verdictOf(url, allowed)).toBe("ok");
    }
    for (const url of [
      "http://10.0.0.5:9091/",
      "http://10.0.0.6:9090/",
      "http://hooks.internal:81/",
      "http://a.hooks.internal/",
      "https://[fd00::6]/",
      "http://user@10.0.0.5:9090/",
    ]) {
      expect(verdictOf(url, allowed)).not.toBe("ok");
    }
  });

  it.each([
    ["hooks.internal:8443", "hooks.internal:8443"],
    ["HOOKS.Internal:08443", "hooks.internal:8443"],
    ["10.0.0.5:9090", "10.0.0.5:9090"],
    ["0xa000005:80", "10.0.0.5:80"],
    ["[FD00:0::5]:9090", "[fd00::5]:9090"],
    ["hooks.internal", null],
    ["hooks.internal:", null],
    ["*:80", null],
    ["hooks.internal:99999", null],
    ["http://hooks.internal:80", null],
    ["hooks.internal:80/path", null],
    ["user@hooks.internal:80", null],
    ["fd00::5:9090", null],
  ])("reads %s in the list as %s", (text, pair) => expect(parseAllowedHost(text)).toBe(pair));
});

describe("NO-19 an address is judged however it is written", () => {
  it.each([
    ["loopback", "127.0.0.1"],
    ["short", "127.1"],
    ["decimal", "2130706433"],
    ["hexadecimal", "0x7f000001"],
    ["hexadecimal parts", "0x7f.0x0.0x0.0x1"],
    ["octal", "0177.0.0.1"],
    ["full-width digits", "１２７.０.０.１"],
    ["ideographic full stops", "127。0。0。1"],
    ["percent-encoded", "%31%32%37.0.0.1"],
    ["a dot at the end", "127.0.0.1."],
    ["this host", "0.0.0.0"],
    ["private 10", "10.1.2.3"],
    ["private 172", "172.31.255.255"],
    ["private 192", "192.168.1.1"],
    ["shared (CGNAT)", "100.64.0.1"],
    ["link-local", "169.254.1.1"],
    ["metadata of clouds", "169.254.169.254"],
    ["metadata as one number", "2852039166"],
    ["metadata of Alibaba", "100.100.100.200"],
    ["protocol assignments", "192.0.0.192"],
    ["documentation", "203.0.113.7"],
    ["benchmarking", "198.18.0.1"],
    ["multicast", "224.0.0.1"],
    ["reserved", "240.0.0.1"],
    ["broadcast", "255.255.255.255"],
    ["IPv6 loopback", "[::1]"],
    ["IPv6 unspecified", "[::]"],
    ["IPv4-mapped", "[::ffff:127.0.0.1]"],
    ["IPv4-mapped in hexadecimal", "[::ffff:a9fe:a9fe]"],
    ["IPv4-compatible", "[::7f00:1]"],
    ["NAT64", "[64:ff9b::7f00:1]"],
    ["local NAT64", "[64:ff9b:1::a00:1]"],
    ["6to4", "[2002:7f00:1::]"],
    ["Teredo", "[2001:0:4136:e378:8000:63bf:80ff:fffe]"],
    ["IPv6 link-local", "[fe80::1]"],
    ["IPv6 site-local", "[fec0::1]"],
    ["IPv6 unique local", "[fd12:3456::1]"],
    ["metadata of AWS over IPv6", "[fd00:ec2::254]"],
    ["IPv6 multicast", "[ff02::1]"],
    ["IPv6 documentation", "[2001:db8::1]"],
    ["IPv6 discard", "[100::1]"],
  ])("%s: %s", (_, host) => expect(verdictOf(`https://${host}/`)).not.toBe("ok"));

  it.each(["8.8.8.8", "1.1.1.1", "93.184.216.34", "::ffff:8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::8a"])(
    "%s is public",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it("of IPv6, nothing outside 2000::/3", () => {
    const outside = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .filter(([first = 0]) => first >> 5 !== 1)
      .map((bytes) =>
        Array.from({ length: 8 }, (_, part) =>
          ((bytes[2 * part] ?? 0) * 256 + (bytes[2 * part + 1] ?? 0)).toString(16),
        ).join(":"),
      )
      // Mapped addresses are judged as the IPv4 address that they are.
      .filter((address) => !address.startsWith("0:0:0:0:0:ffff:"));
    fc.assert(fc.property(outside, (address) => !isPublicAddress(address)));
  });

  it.each(["", "localhost", "127.0.0.1:80", "not an address"])("%j is no address at all", (text) => {
    expect(isPublicAddress(text)).toBe(false);
  });
});
