import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import {
  auditEntry,
  auditVerification,
  type ConfigurationView,
  configurationView,
  createdToken,
  decision,
  delivery,
  environment,
  evaluationResult,
  exportResponse,
  flag,
  flagChange,
  gaugeValue,
  instance,
  receipt,
  rolloutChange,
  rolloutReport,
  rolloutView,
  segment,
  token,
  traceStep,
  webhookWithSecret,
} from "@bunting/contracts";
import {
  openStreamClient,
  type ServerProcess,
  type StreamClient,
  startChild,
  startServerProcess,
} from "@bunting/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  type CommandOptions,
  type CommandOutcome,
  FROM_SOURCES,
  installProgram,
  packProgram,
  runCommand,
} from "./command-line.ts";

let server: ServerProcess;
let folder: string;
let program: readonly string[];
const connected: StreamClient[] = [];

beforeAll(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), "bunting-cli-"));
  [server, program] = await Promise.all([startServerProcess(), packProgram(path.join(folder, "packed"))]);
});
afterEach(async () => {
  await Promise.all(connected.splice(0).map((client) => client.drop()));
});
afterAll(async () => {
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** The packed program, which starts faster than the sources. Words as in a shell; `"…"` holds them together. */
function bunting(commandLine: string, options: CommandOptions = {}, from = program): Promise<CommandOutcome> {
  const words = [...commandLine.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  const env = { BUNTING_URL: server.url, BUNTING_TOKEN: server.firstRun.adminToken, ...options.env };
  return runCommand(from, words, { ...options, env });
}

/** With --json, exit code 0, and a shape: nothing else may stand on stdout. */
async function answered<Shape>(
  commandLine: string,
  schema: { parse(value: unknown): Shape },
  options: CommandOptions = {},
): Promise<Shape> {
  const { exitCode, out, err } = await bunting(`${commandLine} --json`, options);
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  return schema.parse(JSON.parse(out));
}

/** One key of an answer. */
const at = <Shape>(key: string, schema: { parse(value: unknown): Shape }) => ({
  parse: (value: unknown) => schema.parse((value as Record<string, unknown>)[key]),
});
const listOf = <Shape>(schema: { parse(value: unknown): Shape }) => ({
  parse: (value: unknown) => (value as unknown[]).map((each) => schema.parse(each)),
});

const rolloutAndDecisions = { parse: (value: unknown) => ({ rollout: at("rollout", rolloutView).parse(value) }) };
const shownConfiguration = at("environments", {
  parse: (value: unknown) => at("configuration", configurationView).parse((value as unknown[])[0]),
});
const replayed = { parse: (value: unknown) => value as { readonly same: boolean; readonly comparison: string } };

/** Applications on the stream, each with an SDK's manners. */
async function connect(names: readonly string[]): Promise<StreamClient[]> {
  const token = server.firstRun.sdkTokens.production ?? "";
  const opened = await Promise.all(
    names.map((instance) =>
      openStreamClient({ url: server.url, token, query: { instance, boot: `${instance}-1`, sdk: "e2e/1.0.0" } }),
    ),
  );
  connected.push(...opened);
  await Promise.all(opened.map((client) => client.next("snapshot")));
  return opened;
}

describe("where it goes and as whom", () => {
  it("needs nothing on the server's own machine: the port and the first-run file are found", async () => {
    const env = {
      BUNTING_URL: "",
      BUNTING_TOKEN: "",
      BUNTING_PORT: String(server.port),
      BUNTING_DATA_DIR: server.dataFolder,
    };
    const { exitCode, out } = await bunting("status", { env });
    expect(exitCode).toBe(0);
    expect(out).toMatch(/first-run file/);
    for (const name of ["production", "staging", "development"]) expect(out).toContain(name);
  });

  it("takes a token from a file", async () => {
    const tokenFile = path.join(folder, "token.txt");
    writeFileSync(tokenFile, `${server.firstRun.adminToken}\n`);
    const { exitCode } = await bunting(`status --token-file ${tokenFile}`, { env: { BUNTING_TOKEN: "" } });
    expect(exitCode).toBe(0);
  });

  it("ends with 4 for a token that the server does not know", async () => {
    const unknown = server.firstRun.adminToken.replace(/_[0-9A-Za-z]{49}$/, `_${"x".repeat(49)}`);
    const { exitCode, out, err } = await bunting("flag list", { env: { BUNTING_TOKEN: unknown } });
    expect([exitCode, out]).toEqual([4, ""]);
    expect(err).toMatch(/unauthenticated/);
  });

  it("prints no escape sequences into a pipe, and colours where they are asked for", async () => {
    const escape = "\u001b[";
    expect((await bunting("env list")).out).not.toContain(escape);
    expect((await bunting("env list", { env: { FORCE_COLOR: "1" } })).out).toContain(escape);
    expect((await bunting("env list --no-color", { env: { FORCE_COLOR: "1" } })).out).not.toContain(escape);
  });
});

describe("flags", () => {
  it("are created, listed, shown, changed and archived", async () => {
    const created = await answered('flag create walk --description "Goes through everything" --tag demo,walks', flag);
    expect(created).toMatchObject({ key: "walk", type: "boolean", tags: ["demo", "walks"] });

    const listed = await answered(
      "flag list --tag walks",
      at("items", { parse: (items) => items as { flag: unknown }[] }),
    );
    expect(listed.map((item) => flag.parse(item.flag).key)).toEqual(["walk"]);

    const after = await answered("flag set walk --on 25", at("after", configurationView));
    expect(after.fallthrough).toEqual({ split: { on: 25, off: 75 } });

    const shown = await bunting("flag show walk");
    expect(shown.out).toMatch(/on 25 % {2}off 75 %/);
    expect(shown.out).toMatch(/staging {2}enabled/);
    const asJson = await answered(
      "flag show walk --env production",
      at("environments", { parse: (all) => all as { configuration: unknown }[] }),
    );
    expect(asJson.map(({ configuration }) => configurationView.parse(configuration).version)).toEqual([after.version]);

    expect((await bunting("flag archive walk")).exitCode).toBe(2);
    expect((await answered("flag archive walk --yes", flag)).archivedAt).not.toBeNull();
    expect((await bunting("flag list --archived")).out).toContain("walk");
  });

  it("show how often each variant was served", async () => {
    await bunting("flag create counted");
    const [shop] = await connect(["shop-1"]);
    const cells = [
      { flag: "counted", variant: "on", exposures: 1_250 },
      { flag: "counted", variant: "off", exposures: 3 },
    ];
    const batch = { instance: "shop-1", boot: "shop-1-1", sequence: 1, from: 0, to: 1, ageMs: 0, cells };
    shop?.send({ type: "telemetry", batch });
    await shop?.next("telemetry_ack");
    expect((await bunting("flag show counted --env production")).out).toMatch(/served since .* UTC {2}.*on 1,250/);
    expect((await bunting("flag show counted --env staging")).out).not.toContain("served since");
  });

  it("of another type name their variants; the last one is the off variant", async () => {
    const created = await answered("flag create page-size --type number --variant large=50 --variant small=20", flag);
    expect(created.variants).toEqual({ large: { value: 50 }, small: { value: 20 } });
    const { exitCode, err } = await bunting("flag set page-size --on 5");
    expect(exitCode).toBe(2);
    expect(err).toContain("large, small");
    const after = await answered("flag set page-size --split large=0.5,small=99.5", at("after", configurationView));
    expect(after.fallthrough).toEqual({ split: { large: 0.5, small: 99.5 } });
    const whole = await answered("flag set page-size --variant large", at("after", configurationView));
    expect(whole.fallthrough).toEqual({ variant: "large" });
  });

  it("show before and after as bars", async () => {
    await bunting("flag create bars");
    const { out, err } = await bunting("flag set bars --on 50");
    expect(out).toMatch(/fallthrough {2}- ░{30} {2}off 100 %\n +\+ █{15}░{15} {2}on 50 % {2}off 50 %/);
    expect(err).toContain("Environment production, the default");
  });

  it("take rules, pins and switches, and keep what was not mentioned", async () => {
    await bunting("flag create edits");
    const set = (options: string) => answered(`flag set edits ${options}`, at("after", configurationView));
    await set('--rule eu --when "country in FR,DE" --on 50');
    await set("--rule qa --when segment:nobody --variant on").catch(() => undefined);
    const first = await set("--on 10 --pin on=qa-17 --pin off=ceo");
    expect(first).toMatchObject({
      rules: [{ id: "eu", serve: { split: { on: 50, off: 50 } } }],
      pins: { on: ["qa-17"], off: ["ceo"] },
      fallthrough: { split: { on: 10, off: 90 } },
    });
    const second = await set("--unpin ceo --disable --bucket-by account,key --rule eu --variant on");
    expect(second).toMatchObject({ enabled: false, bucketBy: ["account", "key"], pins: { on: ["qa-17"] } });
    expect(second.rules).toEqual([{ ...first.rules[0], serve: { variant: "on" } }]);
    expect((await set("--enable --remove-rule eu")).rules).toEqual([]);
  });

  it("are refused by the server in its own words, with the field and what to do", async () => {
    await bunting("flag create refused");
    const { exitCode, out, err } = await bunting("flag set refused --split on=50,off=40");
    expect([exitCode, out]).toEqual([1, ""]);
    expect(err).toMatch(/add up to exactly 100/);
    expect(
      err
        .trimEnd()
        .split("\n")
        .filter((line) => !line.startsWith("Environment")).length,
    ).toBeLessThanOrEqual(4);
    expect((await bunting("flag set nowhere --on 1")).err).toContain("flag_not_found");
    expect((await bunting("flag create refused")).err).toContain("flag_exists");
  });

  it("are replaced by a file, but not if somebody was faster", async () => {
    await bunting("flag create filed");
    const read = await answered("flag set filed --on 1", at("after", configurationView));
    const edited: ConfigurationView = { ...read, fallthrough: { variant: read.offVariant }, pins: {} };
    const input = JSON.stringify(edited);
    const after = await answered("flag set filed --file -", at("after", configurationView), { input });
    expect(after.fallthrough).toEqual({ variant: "off" });

    const { exitCode, err } = await bunting("flag set filed --file -", { input });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/version_mismatch .*filed was changed by .*it has version 3, yours is from "2"/);
  });
});

describe("kill", () => {
  beforeAll(async () => {
    await Promise.all(
      ["redis-readthrough", "checkout", "search"].map((key) => bunting(`flag create ${key} --tag shop`)),
    );
  });

  it("waits for proof from every connected instance", async () => {
    await connect(["shop-1", "shop-2", "shop-3"]);
    const { exitCode, out, err } = await bunting('kill redis-readthrough --reason "p99 at 4 s" --wait 20');
    expect({ exitCode, err: err.replace(/^Environment .*\n/, "") }).toMatchObject({ exitCode: 0 });
    expect(out).toMatch(/^✓ Killed redis-readthrough in production, revision \d+\.\n/);
    expect(out).toMatch(/\n3\/3 instances applied, p50 [\d.,]+ ms, p99 [\d.,]+ ms, max [\d.,]+ ms\n/);
    expect(connected.map(({ model }) => [model.isKilled("redis-readthrough"), model.problems])).toEqual(
      connected.map(() => [true, []]),
    );
  });

  it("twice says who was faster, and proves it as well", async () => {
    const { exitCode, out, err } = await bunting("kill redis-readthrough --reason again --wait");
    expect([exitCode, err]).toEqual([0, expect.not.stringContaining("flag_killed")]);
    expect(out).toContain("redis-readthrough was killed already in production, by first admin at ");
    expect(out).toMatch(/instances applied|No instance was connected/);
  });

  it("is undone by restore, with a receipt as well", async () => {
    const [one] = await connect(["shop-1"]);
    const change = await answered("restore redis-readthrough --reason fixed --wait", flagChange);
    expect(change.receipt).toMatchObject({ connected: 1, applied: 1, complete: true });
    expect(one?.model.isKilled("redis-readthrough")).toBe(false);
  });

  it("ends with 5 and names whoever has not applied it; the change is made all the same", async () => {
    const [, , suspended] = await connect(["shop-1", "shop-2", "shop-3"]);
    suspended?.pause();
    const { exitCode, out, err } = await bunting("kill redis-readthrough --reason drill --wait 1");
    expect(exitCode).toBe(5);
    expect(out).toMatch(/2\/3 instances applied/);
    expect(out).toMatch(/shop-3 .*connected, silent/);
    expect(out).not.toMatch(/^shop-1/m);
    expect(err).toContain("not_all_applied");

    const { out: behind } = await bunting("instances --behind");
    expect(behind).toMatch(/shop-3/);
    expect(behind).not.toMatch(/shop-1/);
    const asJson = await bunting("restore redis-readthrough --reason drill --wait 0.5 --json");
    expect(asJson.exitCode).toBe(5);
    expect(flagChange.parse(JSON.parse(asJson.out)).receipt).toMatchObject({ complete: false, pendingCount: 1 });
    expect(JSON.parse(asJson.err)).toMatchObject({ error: { code: "not_all_applied", exitCode: 5 } });
  });

  it("takes several flags, or all with a tag, in one transaction", async () => {
    const two = await answered("kill checkout search --reason drill", flagChange);
    expect([...two.flags].sort()).toEqual(["checkout", "search"]);
    const rest = await answered("kill --tag shop --reason drill", flagChange);
    expect(rest.position.revision).toBe(two.position.revision + 1);
    expect(rest.flags).toContain("redis-readthrough");
    expect((await bunting("kill --tag nothing --reason drill")).err).toContain("kill_matches_nothing");
  });

  it("says so if nobody is connected", async () => {
    await bunting("flag create lonely");
    const { exitCode, out } = await bunting("kill lonely --reason drill --wait --env staging");
    expect(exitCode).toBe(0);
    expect(out).toContain("No instance was connected.");
  });

  it("leaves an edited flag killed, and flag set says so", async () => {
    const { out } = await bunting("flag set checkout --on 5");
    expect(out).toContain("The flag is killed");
  });

  it("reshuffle draws a new salt, once somebody said yes", async () => {
    const saltOf = async () => {
      const [shown] = await answered(
        "flag show lonely --env staging",
        at("environments", { parse: (all) => all as { configuration: unknown }[] }),
      );
      return configurationView.parse(shown?.configuration).salt;
    };
    const before = await saltOf();
    expect((await bunting("reshuffle lonely --env staging --reason drill")).exitCode).toBe(2);
    expect(await saltOf()).toBe(before);
    await answered("reshuffle lonely --env staging --reason drill --yes", flagChange);
    expect(await saltOf()).not.toBe(before);
  });

  it("flag set --wait has a receipt too", async () => {
    await connect(["shop-1"]);
    const made = await answered("flag set search --on 5 --wait", at("receipt", receipt));
    expect(made).toMatchObject({ connected: 1, complete: true });
  });
});

describe("evaluate", () => {
  beforeAll(async () => {
    await bunting("flag create explained");
    await bunting('flag set explained --rule eu --when "country in FR,DE" --when "age greater 17" --variant on');
  });

  it("says what a context gets and why, as a tree", async () => {
    const { out } = await bunting("evaluate explained --key u-1 --attr country=FR --attr age=18 --explain");
    expect(out).toMatch(/^explained → on {2}true {2}TARGETING_MATCH {2}rule:eu\n/);
    expect(out).toMatch(/└─ ✓ rule eu.*\n.*├─ ✓ .*country.*\n.*└─ ✓ .*age/);
  });

  it("takes the context from a file, and answers in the contracts' shapes", async () => {
    const input = JSON.stringify({ key: "u-1", country: "US" });
    const result = await answered(
      "evaluate explained --context -",
      at("flags", { parse: (all) => all as Record<string, unknown> }),
      { input },
    );
    expect(Object.keys(result)).toEqual(["explained"]);
    const decided = result.explained as { trace: unknown };
    expect(evaluationResult.parse(decided)).toMatchObject({ variant: "off", value: false });
    expect(listOf(traceStep).parse(decided.trace).length).toBeGreaterThan(0);
  });
});

describe("segments", () => {
  it("are set, shown, kept while a rule refers to them, and deleted", async () => {
    const created = await answered(
      'segment set staff --when "email ends_with @example.com" --description Colleagues',
      segment,
    );
    expect(created).toMatchObject({ version: 1, description: "Colleagues" });
    const changed = await answered('segment set staff --when "email ends_with @example.org"', segment);
    expect(changed).toMatchObject({ version: 2, description: "Colleagues" });
    expect((await bunting("segment show staff")).out).toContain("if  email ends with");

    await bunting("flag create for-staff");
    await bunting("flag set for-staff --rule staff --when segment:staff --variant on");
    const refused = await bunting("segment delete staff --yes");
    expect([refused.exitCode, refused.err]).toEqual([1, expect.stringContaining("segment_in_use")]);
    await bunting("flag set for-staff --remove-rule staff");
    expect((await bunting("segment delete staff --yes")).exitCode).toBe(0);
    expect(await answered("segment list", at("items", listOf(segment)))).toEqual([]);
  });
});

describe("environments and tokens", () => {
  it("an environment is created, and its instances are of it alone", async () => {
    const created = await answered("env create canary --name Canary", environment);
    expect(created.key).toBe("canary");
    const listed = await answered("env list", at("items", listOf(environment)));
    expect(listed.map(({ key }) => String(key))).toEqual(expect.arrayContaining(["canary", "production"]));
    await connect(["shop-1"]);
    expect(await answered("instances --env canary", at("items", listOf(instance)))).toEqual([]);
    expect(await answered("instances --env production", at("items", listOf(instance)))).toEqual(
      expect.arrayContaining([expect.objectContaining({ instance: "shop-1", transport: "stream" })]),
    );
  });

  it("a token does what its kind may do until it is revoked", async () => {
    const viewer = await answered("token create dashboard --kind viewer --scope production --expires 1d", createdToken);
    const env = { BUNTING_TOKEN: viewer.secret };
    expect((await bunting("flag list", { env })).exitCode).toBe(0);
    const forbidden = await bunting("flag create nope", { env });
    expect([forbidden.exitCode, forbidden.err]).toEqual([4, expect.stringContaining("forbidden")]);

    const onCall = await answered("token create on-call --kind operator", createdToken);
    const asOnCall = { env: { BUNTING_TOKEN: onCall.secret } };
    await bunting("flag create operated");
    expect((await bunting("kill operated --reason drill --wait", asOnCall)).exitCode).toBe(0);
    expect((await bunting("flag archive operated --yes", asOnCall)).exitCode).toBe(4);

    const listed = await answered("token list", at("items", listOf(token)));
    expect(listed.find(({ id }) => id === viewer.id)).toMatchObject({ name: "dashboard", kind: "viewer" });
    expect((await bunting("token list")).out).not.toContain(viewer.secret);
    expect((await answered(`token revoke ${viewer.id} --yes`, token)).revokedAt).not.toBeNull();
    expect((await bunting("flag list", { env })).exitCode).toBe(4);
    expect((await bunting("token list")).out).not.toContain("dashboard");
    expect((await bunting("token list --revoked")).out).toMatch(/dashboard.*revoked/);
  });
});

describe("audit and export", () => {
  it("the audit names who did what and why, newest first", async () => {
    const entries = await answered("audit --flag redis-readthrough --limit 3", at("items", listOf(auditEntry)));
    expect(entries).toHaveLength(3);
    expect(entries[0]?.number).toBeGreaterThan(entries[1]?.number ?? 0);
    expect((await bunting("audit list --env production")).out).toContain("drill");
  });

  it("the whole audit is verified", async () => {
    const verification = await answered("audit verify", auditVerification);
    expect(verification).toMatchObject({ intact: true, brokenAt: null, damagedRows: [] });
    expect((await bunting("audit verify")).out).toContain(verification.head);
  });

  it("an export holds what was configured, and no secret", async () => {
    const { exitCode, out } = await bunting("export");
    expect(exitCode).toBe(0);
    const exported = exportResponse.parse(JSON.parse(out));
    expect(exported.flags.map(({ key }) => String(key))).toContain("redis-readthrough");
    expect(out).not.toContain("bnt_");

    const file = path.join(folder, "export.json");
    await bunting(`export --out ${file}`);
    const { exportedAt, ...same } = exportResponse.parse(JSON.parse(readFileSync(file, "utf8")));
    expect(same).toEqual({ ...exported, exportedAt: undefined });
    expect(exportedAt >= exported.exportedAt).toBe(true);
  });
});

describe("a rollout", () => {
  const flagKey = "rolled-out";
  const rollout = (words: string) => `rollout ${words} --env production`;

  it("is planned, ticked, started with proof, watched, and rolled back to what was before", async () => {
    await answered(`flag create ${flagKey}`, flag);
    await connect(["ro-1"]);
    const plan = "--stages 5,100 --bake 10 --interval 5 --approval 5 --check Dashboards --max-error-rate 1%";
    const planned = await answered(rollout(`create ${flagKey} ${plan}`), rolloutView);
    expect(planned).toMatchObject({ state: "pending", plan: { guardrails: [{ metric: "error_rate", max: 0.01 }] } });
    expect(await bunting(rollout(`start ${flagKey}`))).toMatchObject({
      exitCode: 1,
      err: expect.stringMatching(/Dashboards/),
    });
    await answered(rollout(`tick ${flagKey} Dashboards`), rolloutView);

    const started = await answered(rollout(`start ${flagKey} --comment go`), rolloutChange);
    expect(started).toMatchObject({ rollout: { state: "running", percent: 5 }, decision: { action: "start" } });
    const { rollout: seen } = await answered(rollout(`status ${flagKey}`), rolloutAndDecisions);
    expect(seen.nextStep?.step).toBe("promote");
    expect(await answered("rollout list", at("items", listOf(rolloutView)))).toHaveLength(1);

    const watching = bunting(rollout(`watch ${flagKey} --every 0.2`));
    const rolledBack = await answered(rollout(`rollback ${flagKey} --comment drill`), rolloutChange);
    expect(rolledBack.rollout).toMatchObject({ state: "rolled_back", percent: 0 });
    const watched = await watching;
    expect(watched.exitCode).toBe(1);
    expect(watched.err).toMatch(/not_completed/);
    const { fallthrough } = await answered(`flag show ${flagKey} --env production`, shownConfiguration);
    expect(fallthrough).toEqual(planned.formerServe ?? { split: { on: 0, off: 100 } });
  });

  it("has a log of which every decision replays, byte for byte, and a report", async () => {
    const decided = await answered(rollout(`decisions ${flagKey} --all`), at("items", listOf(decision)));
    expect(decided.map(({ action }) => action)).toEqual(expect.arrayContaining(["start", "rollback"]));
    for (const { id } of decided) {
      const { same, comparison } = await answered(`replay ${id}`, at("replay", replayed));
      expect({ id, same, comparison }).toEqual({ id, same: true, comparison: "bytes" });
    }
    await answered(rollout(`report ${flagKey}`), rolloutReport);
    expect((await bunting(rollout(`report ${flagKey}`))).out).toMatch(/^# /);
    const other = path.join(folder, "other.json");
    writeFileSync(other, JSON.stringify({ stages: [{ percent: 5 }] }));
    expect((await bunting(rollout(`what-if ${flagKey} --plan ${other}`))).out).toMatch(/^as it was [\s\S]*other plan /);
  });

  it("begins anew with a retry, and is called off", async () => {
    expect(await answered(rollout(`retry ${flagKey}`), rolloutChange)).toMatchObject({ rollout: { attempt: 2 } });
    expect(await answered(rollout(`abort ${flagKey}`), rolloutChange)).toMatchObject({ rollout: { state: "aborted" } });
  });
});

describe("figures from outside, and whom to tell", () => {
  it("a gauge is posted", async () => {
    expect(await answered("gauge post lighthouse 93 --env production", gaugeValue)).toMatchObject({ value: 93 });
  });

  it("a webhook is created from a file, listed without its address, and deleted", async () => {
    const file = path.join(folder, "address.txt");
    writeFileSync(file, "https://hooks.example.com/services/very-secret\n");
    const created = await answered(`webhook create releases --url-file ${file} --format slack`, webhookWithSecret);
    expect(created.secret).toBeDefined();
    const listed = await bunting("webhook list");
    expect(listed.out).toContain("https://hooks.example.com");
    expect(listed.out).not.toContain("very-secret");
    expect(await answered("webhook deliveries releases", at("items", listOf(delivery)))).toEqual([]);
    expect((await bunting("webhook delete releases --yes")).exitCode).toBe(0);
    expect((await bunting("webhook delete releases --yes")).exitCode).toBe(1);
  });

  it("a token says what its holder may sign for", async () => {
    expect(await answered("token create ana --kind operator --role PO,SRE", createdToken)).toMatchObject({
      roles: ["PO", "SRE"],
    });
  });
});

describe("the program", () => {
  it("answers the same from its sources as packed", async () => {
    const env = { BUNTING_URL: server.url, BUNTING_TOKEN: server.firstRun.adminToken };
    for (const words of [["--help"], ["flag", "list"], ["flag", "show", "nowhere"]]) {
      const [packed, sources] = await Promise.all([
        runCommand(program, words, { env }),
        runCommand(FROM_SOURCES, words, { env }),
      ]);
      const withoutRequest = ({ err, ...rest }: CommandOutcome) => ({ ...rest, err: err.replace(/req_\S+/, "") });
      expect(withoutRequest(packed)).toEqual(withoutRequest(sources));
    }
  });

  it("needs SQLite only to serve", async () => {
    // The folder it was packed into has no dependencies at all.
    expect((await bunting("kill nowhere --reason drill")).exitCode).toBe(1);
    expect((await bunting("serve")).err).toContain("better-sqlite3");
  });

  it("serves from the package alone until it is told to stop, and says why it cannot", async () => {
    const installed = installProgram(path.join(folder, "packed"), path.join(folder, "installed"));
    const child = await startChild({
      command: process.execPath,
      args: [...installed, "serve", "--port", "0", "--data-dir", path.join(folder, "served")],
      env: process.env,
    });
    const [, url = ""] = await child.printed(/serves (http:\/\/[\d.]+:\d+)/, 60_000);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${url}/docs`)).text()).toContain("swagger-ui");

    const second = await bunting(`serve --port ${new URL(url).port} --data-dir ${folder}/other`, {}, installed);
    expect(second).toMatchObject({ exitCode: 1, err: expect.stringMatching(/Port \d+ on 127\.0\.0\.1 is taken/) });
    expect(await bunting("serve --port many", {}, installed)).toMatchObject({ exitCode: 2 });
    expect(await child.end("SIGTERM")).toEqual({ code: 0, signal: null });
  });
});

it("ends with 3 when the server is gone, naming the URL and how to start one", async () => {
  await server.kill();
  const { exitCode, err } = await bunting("kill checkout --reason drill");
  expect(exitCode).toBe(3);
  expect(err).toContain(server.url);
  expect(err).toContain("bunting serve");
});
