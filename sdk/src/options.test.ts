import { createSdkWorld } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { type FlagsOptions, resolveOptions } from "./options.ts";

const resolve = (options: object, environment: Record<string, string> = {}) => {
  const { platform } = createSdkWorld();
  return resolveOptions(options as FlagsOptions, { ...platform, environment });
};

describe("options are resolved once, and mistakes are named", () => {
  it.each([
    [{ tokn: "x" }, 'unknown option "tokn", did you mean "token"?'],
    [{ URL: "x" }, 'unknown option "URL", did you mean "url"?'],
    [{ cachefile: "x" }, 'did you mean "cacheFile"?'],
    [{ pollInterval: 1 }, 'unknown option "pollInterval", known are url, token'],
    [{ constructor: 1 }, 'unknown option "constructor"'],
    [{ staleAfterMs: "60s" }, 'option "staleAfterMs" must be milliseconds from 1 to a day, it is 60s'],
    [{ staleAfterMs: Number.NaN }, 'option "staleAfterMs"'],
    [{ token: 7, url: "https://x" }, 'option "token" must be a text that is not empty, it is something else'],
    [{ instance: "x".repeat(65) }, 'option "instance"'],
    [{ bootstrap: [] }, 'option "bootstrap" must be an object'],
    [{ url: "flags.example.com", token: "t" }, "url must be an http or https address"],
    [{ url: "ftp://flags.example.com", token: "t" }, "url must be an http or https address"],
    [{ url: "https://a:b@flags.example.com", token: "t" }, "must not hold credentials"],
    [{ url: "https://flags.example.com?token=1", token: "t" }, "must not hold credentials, a query"],
    [{ url: "https://flags.example.com" }, "a url needs a token; pass `token` or set BUNTING_TOKEN"],
    [{ url: "https://flags.example.com", token: "a\nb" }, "token holds characters that no token has"],
  ])("%o: %s", (options, message) => {
    expect(() => resolve(options)).toThrow(message);
    expect(() => resolve(options)).toThrow(TypeError);
  });

  it("takes address and token from the environment where the code says nothing", () => {
    const { server } = resolve({}, { BUNTING_URL: "https://flags.example.com/base/", BUNTING_TOKEN: "t" });
    expect(server).toEqual({ origin: "https://flags.example.com/base", token: "t" });
    expect(resolve({}, { BUNTING_URL: "", BUNTING_TOKEN: "" }).server).toBeNull();
    expect(resolve({ token: undefined, url: undefined }).server).toBeNull();
  });

  it("does not write into the caller's object", () => {
    expect(() => resolve(Object.freeze({ overrideEnv: Object.freeze({}) }))).not.toThrow();
  });
});

describe("LC-20 a token travels encrypted, or not off the machine", () => {
  it.each([
    "http://localhost:4242",
    "http://127.0.0.1",
    "http://127.9.9.9:1",
    "http://[::1]:80",
    "ws://app.localhost",
    "wss://flags.example.com",
  ])("%s is allowed", (url) => expect(resolve({ url, token: "t" }).server).not.toBeNull());

  it.each([
    "http://flags.example.com",
    "ws://10.0.0.1",
    "http://127.0.0.1.example.com",
    "http://localhost.example.com",
    "http://1270.0.0.1",
  ])("%s is refused unless allowInsecure says so", (url) => {
    expect(() => resolve({ url, token: "t" })).toThrow(/https|address/);
    if (URL.canParse(url)) expect(resolve({ url, token: "t", allowInsecure: true }).server).not.toBeNull();
  });
});

describe("LC-44 a cache file is of one address and one token id", () => {
  const scope = (url: string, token: string) => resolve({ url, token }).cacheFile;
  const token = (id: string, secret: string) => `bnt_server_${id}_${secret.repeat(49)}`;

  it("is the same after the secret was rotated under the same id, and another for another id or address", () => {
    const file = scope("https://a.test", token("aaaaaaaaaaaa", "x"));
    expect(file).toMatch(/^\/cache\/bunting\/[0-9a-f]{32}\.json$/);
    expect(scope("https://a.test/", token("aaaaaaaaaaaa", "y"))).toBe(file);
    expect(scope("https://a.test", token("bbbbbbbbbbbb", "x"))).not.toBe(file);
    expect(scope("https://b.test", token("aaaaaaaaaaaa", "x"))).not.toBe(file);
  });

  it("holds nothing of a token in its name", () => {
    expect(scope("https://a.test", "hunter2")).not.toContain("hunter2");
  });

  it("is off where the caller says so, and offline", () => {
    expect(resolve({ url: "https://a.test", token: "t", cacheFile: false }).cacheFile).toBeNull();
    expect(resolve({}).cacheFile).toBeNull();
    expect(resolve({ url: "https://a.test", token: "t", cacheFile: "/here.json" }).cacheFile).toBe("/here.json");
  });
});
