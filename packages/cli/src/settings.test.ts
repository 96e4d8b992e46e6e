import { describe, expect, it } from "vitest";
import { resolveSettings, type SettingsSources } from "./settings.ts";
import { TOKEN } from "./test-world.ts";

const OTHER_TOKEN = TOKEN.replace("admin", "viewer");
const FIRST_RUN = JSON.stringify({ adminToken: TOKEN, sdkTokens: { production: "…" } });

function resolve(given: {
  options?: SettingsSources["options"];
  env?: Record<string, string>;
  files?: Record<string, string>;
}) {
  return resolveSettings({
    options: given.options ?? {},
    env: given.env ?? {},
    readFile: (path) => given.files?.[path],
  });
}

function settingsOf(given: Parameters<typeof resolve>[0]) {
  const resolved = resolve(given);
  if (!resolved.ok) throw new Error(resolved.problem.detail);
  return resolved.settings;
}

const problemOf = (given: Parameters<typeof resolve>[0]) => {
  const resolved = resolve(given);
  return resolved.ok ? undefined : resolved.problem;
};

describe("the URL", () => {
  it.each([
    ["the default of a server on this machine", {}, {}, "http://127.0.0.1:4242", "default"],
    ["the port that this machine's server was given", {}, { BUNTING_PORT: "5000" }, "http://127.0.0.1:5000", "default"],
    [
      "BUNTING_URL",
      {},
      { BUNTING_URL: "https://flags.test/", BUNTING_PORT: "5000" },
      "https://flags.test",
      "BUNTING_URL",
    ],
    [
      "--url before BUNTING_URL",
      { url: "https://a.test" },
      { BUNTING_URL: "https://b.test" },
      "https://a.test",
      "--url",
    ],
    ["a path in front of the API", { url: "https://a.test/flags/" }, {}, "https://a.test/flags", "--url"],
  ])("is %s", (_, options, env, url, urlFrom) => {
    expect(settingsOf({ options, env: { BUNTING_TOKEN: TOKEN, ...env } })).toMatchObject({ url, urlFrom });
  });

  it.each(["flags.test", "ftp://flags.test", "", "https://user:secret@flags.test", "https://flags.test?token=x"])(
    "refuses %j",
    (url) => {
      expect(problemOf({ options: { url }, env: { BUNTING_TOKEN: TOKEN } })?.code).toBe("usage");
    },
  );

  it("never repeats what may be a secret", () => {
    const problem = problemOf({ options: { url: "https://user:secret@flags.test" } });
    expect(JSON.stringify(problem)).not.toContain("secret");
  });

  it("warns where a token would travel in the clear, and only there", () => {
    const warningsFor = (url: string) => settingsOf({ options: { url }, env: { BUNTING_TOKEN: TOKEN } }).warnings;
    expect(warningsFor("http://flags.test")).toHaveLength(1);
    for (const url of ["https://flags.test", "http://localhost:1", "http://[::1]:1", "http://127.0.0.2"]) {
      expect(warningsFor(url)).toEqual([]);
    }
  });
});

describe("the token", () => {
  it("comes from --token-file, then BUNTING_TOKEN, then the first-run file", () => {
    const files = { "secret.txt": `${OTHER_TOKEN}\n`, "./data/first-run.json": FIRST_RUN };
    expect(settingsOf({ options: { tokenFile: "secret.txt" }, env: { BUNTING_TOKEN: TOKEN }, files })).toMatchObject({
      token: OTHER_TOKEN,
      tokenFrom: "--token-file",
    });
    expect(settingsOf({ env: { BUNTING_TOKEN: OTHER_TOKEN }, files }).tokenFrom).toBe("BUNTING_TOKEN");
    expect(settingsOf({ files })).toMatchObject({ token: TOKEN, tokenFrom: "first-run file" });
  });

  it("of the first run lies in BUNTING_DATA_DIR", () => {
    const env = { BUNTING_DATA_DIR: "/srv/bunting" };
    expect(settingsOf({ env, files: { "/srv/bunting/first-run.json": FIRST_RUN } }).tokenFrom).toBe("first-run file");
  });

  it("of the first run goes to this machine alone", () => {
    const files = { "./data/first-run.json": FIRST_RUN };
    expect(problemOf({ options: { url: "https://elsewhere.test" }, files })?.code).toBe("no_token");
    expect(problemOf({ options: { url: "https://127.0.0.1.elsewhere.test" }, files })?.code).toBe("no_token");
  });

  it.each([["not json"], ["{}"], ['{"adminToken":7}'], ["null"]])(
    "is missing if the first-run file holds %s",
    (text) => {
      expect(problemOf({ files: { "./data/first-run.json": text } })?.code).toBe("no_token");
    },
  );

  it("is not sent anywhere if it is something else, nor shown", () => {
    const problem = problemOf({ env: { BUNTING_TOKEN: "ghp_someoneelses" } });
    expect(problem?.code).toBe("no_token");
    expect(JSON.stringify(problem)).not.toContain("ghp_someoneelses");
  });

  it("is a usage error if its file does not exist", () => {
    expect(problemOf({ options: { tokenFile: "gone" }, env: { BUNTING_TOKEN: TOKEN } })?.code).toBe("usage");
  });
});

describe("the environment", () => {
  it.each([
    [{ env: "staging" }, { BUNTING_ENVIRONMENT: "development" }, "staging", "--env"],
    [{}, { BUNTING_ENVIRONMENT: "development" }, "development", "BUNTING_ENVIRONMENT"],
    [{}, {}, "production", "default"],
  ])("of %j and %j is %s", (options, env, environment, environmentFrom) => {
    const settings = settingsOf({ options, env: { BUNTING_TOKEN: TOKEN, ...env } });
    expect(settings).toMatchObject({ environment, environmentFrom });
  });

  it.each(["../tokens", "a/b", "..", "", "a?b"])("cannot be %j, which would be another path", (env) => {
    expect(problemOf({ options: { env }, env: { BUNTING_TOKEN: TOKEN } })?.code).toBe("usage");
  });
});
