import { describe, expect, it } from "vitest";
import { readSettings } from "./settings.ts";

describe("where Redis is", () => {
  it("is said by SESSION_REDIS_URL, or else by SESSION_REDIS_HOST and SESSION_REDIS_PORT", () => {
    const hostAndPort = { SESSION_REDIS_HOST: "cache", SESSION_REDIS_PORT: "7000" };
    expect(readSettings({ ...hostAndPort, SESSION_REDIS_URL: "rediss://u:p@elsewhere:6380/1" }).redis.url).toBe(
      "rediss://u:p@elsewhere:6380/1",
    );
    expect(readSettings(hostAndPort).redis.url).toBe("redis://cache:7000");
    expect(readSettings({ ...hostAndPort, SESSION_REDIS_URL: "" }).redis.url).toBe("redis://cache:7000");
  });

  it("has a namespace, gsr if nobody says otherwise", () => {
    expect(readSettings({}).redis.namespace).toBe("gsr");
    expect(readSettings({ SESSION_REDIS_NAMESPACE: "gsr-eu" }).redis.namespace).toBe("gsr-eu");
  });
});

it("reads through by default where NODE_ENV is staging, and nowhere else", () => {
  const byDefault = (NODE_ENV?: string): boolean => readSettings({ NODE_ENV }).readThroughByDefault;
  expect(["staging", "production", "development", undefined].map(byDefault)).toEqual([true, false, false, false]);
});

it("names every variable that is wrong", () => {
  const wrong = { PORT: "http", SESSION_REDIS_URL: "memcached://cache", SESSION_REDIS_TTL_SECONDS: "0" };
  expect(() => readSettings(wrong)).toThrow(/PORT.*SESSION_REDIS_URL.*SESSION_REDIS_TTL_SECONDS/);
});
