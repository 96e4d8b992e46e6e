import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SIGNATURE_TOLERANCE_SECONDS, signatureOf } from "./signature.ts";

/** The check as the guide prints it, run as it stands. */
type Check = (header: string, body: string | Uint8Array, secret: string, nowSeconds?: number) => boolean;

const guide = readFileSync(new URL("../../../docs/guides/webhooks.md", import.meta.url), "utf8");
const printed = /```js verify\n([\s\S]*?)```/.exec(guide)?.[1] ?? "";
const { isFromBunting } = (await import(`data:text/javascript,${encodeURIComponent(printed)}`)) as {
  isFromBunting: Check;
};

const BODY = '{"text":"rolled back ⏪"}';
const AT = 1_795_057_445;

describe("NO-14 a delivery is signed", () => {
  it("with HMAC-SHA-256 of time, dot and body, in hexadecimal", () => {
    // openssl: printf '%s' '1795057445.{}' | openssl dgst -sha256 -hmac key
    expect(signatureOf("{}", ["key"], AT)).toBe(
      "t=1795057445,v1=ea76c1e97c5e3e6e60d5a9d0257b62f945f4977f7ca753e0336f31afec8028f2",
    );
  });

  it("so that the check of the guide takes it, as text and as bytes", () => {
    const header = signatureOf(BODY, ["a-secret"], AT);
    expect(isFromBunting(header, BODY, "a-secret", AT)).toBe(true);
    expect(isFromBunting(header, Buffer.from(BODY), "a-secret", AT)).toBe(true);
  });

  it.each([
    ["another body", (header: string) => isFromBunting(header, `${BODY} `, "a-secret", AT)],
    ["another secret", (header: string) => isFromBunting(header, BODY, "b-secret", AT)],
    ["another time", (header: string) => isFromBunting(header.replace(`${AT}`, `${AT + 1}`), BODY, "a-secret", AT)],
    ["no time", (header: string) => isFromBunting(header.replace(/^t=\d+,/, ""), BODY, "a-secret", AT)],
    ["no proof", (header: string) => isFromBunting(header.replace(/,v1=.*/, ""), BODY, "a-secret", AT)],
    ["half a proof", (header: string) => isFromBunting(header.slice(0, -2), BODY, "a-secret", AT)],
    ["nothing", () => isFromBunting("", BODY, "a-secret", AT)],
  ])("and refuses %s", (_, check) => expect(check(signatureOf(BODY, ["a-secret"], AT))).toBe(false));

  it(`takes it for ${SIGNATURE_TOLERANCE_SECONDS} s, early or late, and not a second longer`, () => {
    const header = signatureOf(BODY, ["a-secret"], AT);
    for (const direction of [-1, 1]) {
      const edge = AT + direction * SIGNATURE_TOLERANCE_SECONDS;
      expect(isFromBunting(header, BODY, "a-secret", edge)).toBe(true);
      expect(isFromBunting(header, BODY, "a-secret", edge + direction)).toBe(false);
    }
  });
});

describe("NO-15 two secrets sign during a rotation", () => {
  it("and a receiver with either takes the delivery", () => {
    const header = signatureOf(BODY, ["new", "old"], AT);
    expect(header.match(/v1=/g)).toHaveLength(2);
    for (const secret of ["new", "old"]) expect(isFromBunting(header, BODY, secret, AT)).toBe(true);
    expect(isFromBunting(header, BODY, "other", AT)).toBe(false);
  });
});
