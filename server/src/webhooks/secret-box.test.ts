import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createSeededRandom } from "@bunting/testkit";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { StartupError } from "../startup-error.ts";
import { createSecretBox, loadSecretKey } from "./secret-box.ts";

const random = createSeededRandom(31);
const key = random.bytes(32);

describe("NO-16 a sealed secret", () => {
  it("opens as it was, in its record and with its key", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), fc.string(), (secret, record) => {
        const box = createSecretBox(key, random);
        return box.open(box.seal(secret, record), record) === secret;
      }),
    );
  });

  it("opens in no other record, with no other key, and not if a character of it was changed", () => {
    const box = createSecretBox(key, random);
    const sealed = box.seal("a-secret", "webhook/1/secret");
    expect(box.open(sealed, "webhook/2/secret")).toBeNull();
    expect(box.open(sealed, "webhook/1/url")).toBeNull();
    expect(createSecretBox(random.bytes(32), random).open(sealed, "webhook/1/secret")).toBeNull();
    for (let index = 0; index < sealed.length; index++) {
      const changed = sealed.slice(0, index) + (sealed[index] === "A" ? "B" : "A") + sealed.slice(index + 1);
      // The last character of base64 may hold bits that mean nothing.
      if (Buffer.from(changed, "base64url").equals(Buffer.from(sealed, "base64url"))) continue;
      if (index === sealed.length - 1) continue;
      expect(box.open(changed, "webhook/1/secret")).toBeNull();
    }
    for (const text of ["", "v1", "v1..", "v2.a.b", sealed.slice(0, 20)]) expect(box.open(text, "r")).toBeNull();
  });

  it("shows nothing of the secret, and is another one each time", () => {
    const box = createSecretBox(key, random);
    const sealed = [1, 2, 3].map(() => box.seal("canary-secret", "r"));
    expect(new Set(sealed).size).toBe(3);
    for (const text of sealed) {
      expect(text).not.toContain("canary");
      expect(Buffer.from(text.split(".")[2] ?? "", "base64url").toString("latin1")).not.toContain("canary");
    }
  });
});

describe("NO-16 the key of secrets", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "bunting-key-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is made once, for its owner's eyes alone, and stays", () => {
    const made = loadSecretKey(folder, null, random);
    expect(statSync(path.join(folder, "secret.key")).mode & 0o777).toBe(0o600);
    expect(Buffer.from(loadSecretKey(folder, null, random))).toEqual(Buffer.from(made));
  });

  it("is taken from the setting, without a file, and the same from the same", () => {
    const given = loadSecretKey(folder, "a long and random text of 32 characters", random);
    expect(given).toHaveLength(32);
    expect(given).toEqual(loadSecretKey(folder, "a long and random text of 32 characters", random));
    expect(given).not.toEqual(loadSecretKey(folder, "another long and random text of 32 characters", random));
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is never replaced if it is damaged: what it sealed would be shut for ever", () => {
    loadSecretKey(folder, null, random);
    const file = path.join(folder, "secret.key");
    chmodSync(file, 0o600);
    writeFileSync(file, "short");
    expect(() => loadSecretKey(folder, null, random)).toThrow(StartupError);
    expect(readFileSync(file, "utf8")).toBe("short");
  });
});
