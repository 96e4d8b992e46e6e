import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ConfigError, isLoopback, readConfig, SETTINGS } from "./config.ts";

const settings = Object.entries(SETTINGS);
const read = (environment: Record<string, string>) => readConfig(environment);
const problemOf = (environment: Record<string, string>): string => {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "none";
};

describe("configuration", () => {
  it("needs nothing at all", () => {
    expect(readConfig({})).toEqual({
      port: 4242,
      host: "127.0.0.1",
      dataDir: path.resolve("data"),
      publicUrl: null,
      logLevel: "info",
      logFormat: "auto",
      trustedProxies: 0,
      tokenPepper: null,
      secretKey: null,
      outgoingAllow: new Set(),
      metricsOpen: false,
      docs: true,
      prometheusUrl: null,
      prometheusAuthorization: null,
      prometheusAuthorizationFile: null,
      warnings: [],
    });
  });

  it.each(settings)("%s: the default in the table is the default", (name, setting) => {
    const explicit = readConfig({ [setting.variable]: setting.default });
    expect(explicit[name as keyof typeof SETTINGS]).toEqual(readConfig({})[name as keyof typeof SETTINGS]);
  });

  it("takes an empty or blank variable for one that is not set", () => {
    expect(read({ BUNTING_PORT: "", BUNTING_TOKEN_PEPPER: "  " })).toEqual(readConfig({}));
  });

  it.each([
    ["BUNTING_PORT", "8080", "port", 8080],
    ["BUNTING_PORT", "0", "port", 0],
    ["BUNTING_PORT", "65535", "port", 65535],
    ["BUNTING_HOST", "::1", "host", "::1"],
    ["BUNTING_DATA_DIR", "/var/lib/bunting", "dataDir", "/var/lib/bunting"],
    ["BUNTING_PUBLIC_URL", "https://flags.example.com/", "publicUrl", "https://flags.example.com"],
    ["BUNTING_LOG_LEVEL", "debug", "logLevel", "debug"],
    ["BUNTING_LOG_FORMAT", "json", "logFormat", "json"],
    ["BUNTING_TRUSTED_PROXIES", "2", "trustedProxies", 2],
    ["BUNTING_TOKEN_PEPPER", "sixteen letters!", "tokenPepper", "sixteen letters!"],
    ["BUNTING_METRICS_OPEN", "on", "metricsOpen", true],
    ["BUNTING_METRICS_OPEN", "0", "metricsOpen", false],
    ["BUNTING_DOCS", "false", "docs", false],
    ["BUNTING_PROMETHEUS_URL", "http://10.0.0.9:9090", "prometheusUrl", "http://10.0.0.9:9090"],
    ["BUNTING_PROMETHEUS_URL", "https://example.com/prometheus/", "prometheusUrl", "https://example.com/prometheus"],
    ["BUNTING_PROMETHEUS_AUTHORIZATION", "Bearer abc", "prometheusAuthorization", "Bearer abc"],
    ["BUNTING_PROMETHEUS_AUTHORIZATION_FILE", "/run/secret", "prometheusAuthorizationFile", "/run/secret"],
  ])("%s=%s sets %s", (variable, value, name, expected) => {
    expect(read({ [variable]: value })).toMatchObject({ [name]: expected });
  });

  it.each([
    ["BUNTING_PORT", "65536"],
    ["BUNTING_PORT", "-1"],
    ["BUNTING_PORT", "80.5"],
    ["BUNTING_PORT", "http"],
    ["BUNTING_PORT", "0x50"],
    ["BUNTING_HOST", "a b"],
    ["BUNTING_HOST", "http://x"],
    ["BUNTING_PUBLIC_URL", "flags.example.com"],
    ["BUNTING_PUBLIC_URL", "ftp://flags.example.com"],
    ["BUNTING_PUBLIC_URL", "https://flags.example.com/bunting"],
    ["BUNTING_PUBLIC_URL", "https://user:password@flags.example.com"],
    ["BUNTING_LOG_LEVEL", "verbose"],
    ["BUNTING_LOG_FORMAT", "xml"],
    ["BUNTING_TRUSTED_PROXIES", "yes"],
    ["BUNTING_TRUSTED_PROXIES", "11"],
    ["BUNTING_TOKEN_PEPPER", "fifteen letters"],
    ["BUNTING_METRICS_OPEN", "maybe"],
    ["BUNTING_DOCS", "2"],
    ["BUNTING_PROMETHEUS_URL", "prometheus:9090"],
    ["BUNTING_PROMETHEUS_URL", "file:///etc/passwd"],
    ["BUNTING_PROMETHEUS_URL", "http://user:password@prometheus:9090"],
    ["BUNTING_PROMETHEUS_URL", "http://prometheus:9090/?"],
    ["BUNTING_PROMETHEUS_URL", "http://prometheus:9090/#"],
    ["BUNTING_PROMETHEUS_AUTHORIZATION", "abc"],
    ["BUNTING_PROMETHEUS_AUTHORIZATION", "Bearer a\r\nHost: x"],
  ])("%s=%s is refused with the variable's name and what to write, not with the value", (variable, value) => {
    const setting = settings.map(([, one]) => one).find((one) => one.variable === variable);
    expect(problemOf({ [variable]: value })).toBe(`${variable} must be ${setting?.expected}.`);
    expect(problemOf({ [variable]: `hunter2 ${value}` })).not.toContain("hunter2");
  });

  it("names everything that is wrong at once", () => {
    const problem = problemOf({ BUNTING_PORT: "x", BUNTING_LOG_LEVEL: "y" });
    expect(problem).toContain("BUNTING_PORT");
    expect(problem).toContain("BUNTING_LOG_LEVEL");
  });

  it("takes Prometheus's credentials from one place", () => {
    const both = { BUNTING_PROMETHEUS_AUTHORIZATION: "Bearer a", BUNTING_PROMETHEUS_AUTHORIZATION_FILE: "/b" };
    expect(problemOf(both)).toContain("BUNTING_PROMETHEUS_AUTHORIZATION_FILE");
  });

  it("opens metrics on this machine's own address only", () => {
    expect(problemOf({ BUNTING_METRICS_OPEN: "on", BUNTING_HOST: "0.0.0.0" })).toContain("BUNTING_METRICS_OPEN");
    for (const host of ["localhost", "::1", "127.0.0.2"])
      expect(read({ BUNTING_METRICS_OPEN: "on", BUNTING_HOST: host }).metricsOpen).toBe(true);
  });

  it.each([
    ["BUNTING_PROT", "BUNTING_PORT"],
    ["BUNTING_HOTS", "BUNTING_HOST"],
    ["BUNTING_DATADIR", "BUNTING_DATA_DIR"],
    ["BUNTING_DATABASE_URL", null],
  ])("warns of %s, which nobody reads", (variable, meant) => {
    const [warning, ...more] = read({ [variable]: "x" }).warnings;
    expect(warning).toContain(variable);
    expect(more).toEqual([]);
    if (meant) expect(warning).toContain(`Did you mean ${meant}?`);
    else expect(warning).not.toContain("Did you mean");
  });

  it("leaves the variables of the SDK and the command line alone", () => {
    const theirs = {
      BUNTING_URL: "x",
      BUNTING_TOKEN: "x",
      BUNTING_FLAG_CHECKOUT: "on",
      BUNTING_ENVIRONMENT: "x",
      PATH: "x",
    };
    expect(read(theirs).warnings).toEqual([]);
  });

  it("warns of an address that others can reach in clear text", () => {
    expect(read({ BUNTING_HOST: "0.0.0.0" }).warnings[0]).toContain("TLS");
    expect(read({ BUNTING_HOST: "0.0.0.0", BUNTING_TRUSTED_PROXIES: "1" }).warnings).toEqual([]);
    expect(read({ BUNTING_HOST: "0.0.0.0", BUNTING_PUBLIC_URL: "https://x.example" }).warnings).toEqual([]);
    expect(isLoopback("0.0.0.0")).toBe(false);
  });

  it("takes a name for this machine's own only if it can be no other", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) expect(isLoopback(host)).toBe(true);
    for (const host of ["127.metrics.example", "localhost.example", "::ffff:10.0.0.1"])
      expect(isLoopback(host)).toBe(false);
  });
});

describe("docs/reference/configuration.md", () => {
  it("has a row for each setting, and for nothing else", () => {
    const page = readFileSync(path.resolve(import.meta.dirname, "../../docs/reference/configuration.md"), "utf8");
    const rows = page.split("\n").filter((line) => line.startsWith("| `BUNTING_"));
    expect(rows).toHaveLength(settings.length);
    for (const [, { variable, default: standard, meaning, expected }] of settings) {
      const row = rows.find((line) => line.startsWith(`| \`${variable}\` |`));
      for (const part of [standard, meaning, expected]) expect(row).toContain(part);
    }
  });
});
