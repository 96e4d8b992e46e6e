import { ERRORS, type ErrorCode, problem } from "@bunting/contracts";
import { LIMITS, WEEKDAYS } from "@bunting/contracts/literals";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Reply, type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

let under: ServerUnderTest;
beforeAll(async () => {
  under = await startServerUnderTest({ environment: { BUNTING_TRUSTED_PROXIES: "1" } });
});
afterAll(() => under.dispose());

const FLAGS = "/api/v1/flags";
const PRODUCTION = "/api/v1/environments/production";
const createFlag = (key: string, more: object = {}) => under.request("POST", FLAGS, { body: { key, ...more } });

/** The refusal, after checking that it is a problem document as RFC 9457 and the catalogue have it. */
function refusal(reply: Reply): { readonly code: ErrorCode; readonly paths: readonly string[] } {
  expect(reply.headers.get("content-type")).toBe("application/problem+json");
  const parsed = problem.parse(JSON.parse(reply.text));
  const code = parsed.code as ErrorCode;
  expect(parsed).toMatchObject({
    status: ERRORS[code].status,
    title: ERRORS[code].meaning,
    type: `/docs/errors#${code}`,
    remedy: ERRORS[code].remedy,
    requestId: reply.headers.get("request-id"),
  });
  expect(reply.status).toBe(ERRORS[code].status);
  expect(reply.text).not.toMatch(/\bat \w+ \(|node_modules|\.ts:\d|SQLITE|select /i);
  return { code, paths: (parsed.errors ?? []).map(({ path }) => path) };
}

describe("R11 no lost update", () => {
  const resources = [
    {
      name: "a flag",
      path: `${FLAGS}/contended`,
      method: "PATCH",
      edit: (n: number) => ({ description: `edit ${n}` }),
    },
    {
      name: "a configuration by PATCH",
      path: `${PRODUCTION}/flags/contended`,
      method: "PATCH",
      edit: (n: number) => ({ fallthrough: { split: { on: n, off: 100 - n } } }),
    },
    {
      name: "a configuration by PUT",
      path: `${PRODUCTION}/flags/contended`,
      method: "PUT",
      edit: (n: number) => ({
        enabled: true,
        offVariant: "off",
        bucketBy: ["key"],
        pins: { on: [`u-${n}`] },
        prerequisites: [],
        rules: [],
        fallthrough: { variant: "off" },
      }),
    },
    {
      name: "a segment",
      path: "/api/v1/segments/contended",
      method: "PUT",
      edit: (n: number) => ({ when: [{ attribute: "key", op: "equals", values: [`u-${n}`] }] }),
    },
  ];

  beforeAll(async () => {
    await createFlag("contended");
    await under.request("PUT", "/api/v1/segments/contended", { body: resources[3]?.edit(0) });
  });

  it.each(resources)(
    "of ten editors of one version of $name one wins, and the audit holds that one",
    async ({ path, method, edit }) => {
      const etag = (await under.request("GET", path)).headers.get("etag") ?? "";
      expect(etag).toMatch(/^"[1-9]\d*"$/);
      const before = (await under.request("GET", "/api/v1/audit?limit=1")).body.items as { number: number }[];
      const replies = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          under.request(method, path, { body: edit(n + 1), headers: { "if-match": etag } }),
        ),
      );
      const winners = replies.filter(({ status }) => status === 200);
      expect(winners).toHaveLength(1);
      for (const reply of replies) if (reply.status !== 200) expect(refusal(reply).code).toBe("version_mismatch");
      const after = (await under.request("GET", "/api/v1/audit?limit=1")).body.items as { number: number }[];
      expect((after[0]?.number ?? 0) - (before[0]?.number ?? 0)).toBe(1);
      expect((await under.request("GET", path)).headers.get("etag")).toBe(winners[0]?.headers.get("etag"));
    },
  );

  it.each(resources.filter(({ method }) => method === "PUT"))(
    "to replace $name without If-Match is refused",
    async ({ path, edit }) => {
      expect(refusal(await under.request("PUT", path, { body: edit(50) })).code).toBe("precondition_required");
      const any = await under.request("PUT", path, { body: edit(50), headers: { "if-match": "*" } });
      expect(any.status).toBe(200);
    },
  );

  it.each([
    ['"999"', "version_mismatch"],
    ['W/"1"', "version_mismatch"],
    ['"abc"', "version_mismatch"],
    ['""', "version_mismatch"],
    ["1", "invalid_request"],
    ['"1", "2"', "invalid_request"],
    ['"1', "invalid_request"],
  ])("If-Match %s answers %s", async (header, code) => {
    const reply = await under.request("PATCH", `${FLAGS}/contended`, { body: {}, headers: { "if-match": header } });
    expect(refusal(reply).code).toBe(code);
  });

  it("If-None-Match: * creates a segment and never replaces one", async () => {
    const body = { when: [{ attribute: "key", op: "exists", values: [true] }] };
    const headers = { "if-none-match": "*" };
    expect((await under.request("PUT", "/api/v1/segments/only-once", { body, headers })).status).toBe(201);
    expect(refusal(await under.request("PUT", "/api/v1/segments/only-once", { body, headers })).code).toBe(
      "version_mismatch",
    );
    const absent = await under.request("PUT", "/api/v1/segments/absent", { body, headers: { "if-match": '"1"' } });
    expect(refusal(absent).code).toBe("segment_not_found");
  });

  it("deleting takes If-Match too", async () => {
    await createFlag("to-archive");
    const stale = await under.request("DELETE", `${FLAGS}/to-archive`, { headers: { "if-match": '"7"' } });
    expect(refusal(stale).code).toBe("version_mismatch");
    expect((await under.request("DELETE", `${FLAGS}/to-archive`, { headers: { "if-match": '"1"' } })).status).toBe(200);
  });
});

describe("R12 a POST with an Idempotency-Key is carried out once", () => {
  const keyed = (key: string) => ({ "idempotency-key": key });

  it("and answered identically, with a mark", async () => {
    const send = () => under.request("POST", FLAGS, { body: { key: "repeated" }, headers: keyed("create-1") });
    const [first, second] = [await send(), await send()];
    expect(first.headers.get("idempotency-replayed")).toBeNull();
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    expect(second.status).toBe(201);
    expect(second.text).toBe(first.text);
    for (const name of ["etag", "location", "bunting-position"]) {
      expect(second.headers.get(name)).toBe(first.headers.get(name));
    }
    // Without the key the repetition is an ordinary second request.
    expect(refusal(await createFlag("repeated")).code).toBe("flag_exists");
  });

  it("also a kill, whose repetition shows the receipt of the first", async () => {
    await createFlag("killed-once");
    const path = `${PRODUCTION}/flags/killed-once/kill`;
    const send = () => under.request("POST", path, { body: { reason: "x" }, headers: keyed("kill-1") });
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
  });

  it.each([
    ["another body", FLAGS, { key: "other-body" }],
    ["another path", "/api/v1/environments", { key: "repeatable" }],
  ])("%s under the same key is refused", async (_what, path, body) => {
    const key = `reused-${path}`;
    await under.request("POST", FLAGS, { body: { key: `repeatable-${path.length}` }, headers: keyed(key) });
    expect(refusal(await under.request("POST", path, { body, headers: keyed(key) })).code).toBe(
      "idempotency_key_reused",
    );
  });

  it("but never gives out a secret twice", async () => {
    const body = { kind: "viewer", name: "once" };
    const first = await under.request("POST", "/api/v1/tokens", { body, headers: keyed("token-1") });
    const second = await under.request("POST", "/api/v1/tokens", { body, headers: keyed("token-1") });
    expect(first.status).toBe(201);
    expect(refusal(second).code).toBe("secret_shown_once");
    expect(second.body.detail).toContain(String(first.body.id));
    expect(second.text).not.toContain(String(first.body.secret));
  });

  it("is scoped to the token", async () => {
    const other = await under.createToken("admin", null);
    const headers = keyed("scoped");
    expect((await under.request("POST", FLAGS, { body: { key: "scoped-1" }, headers })).status).toBe(201);
    expect((await under.request("POST", FLAGS, { body: { key: "scoped-2" }, headers, token: other })).status).toBe(201);
  });

  it(`takes keys of up to ${LIMITS.idempotencyKeyCharacters} printable characters`, async () => {
    const longest = "k".repeat(LIMITS.idempotencyKeyCharacters);
    expect((await under.request("POST", FLAGS, { body: { key: "long-key" }, headers: keyed(longest) })).status).toBe(
      201,
    );
    for (const key of [`${longest}k`, "é"]) {
      const reply = await under.request("POST", FLAGS, { body: { key: "never" }, headers: keyed(key) });
      expect(refusal(reply)).toEqual({ code: "invalid_request", paths: ["header.Idempotency-Key"] });
    }
  });
});

describe("an invalid request names its fields", () => {
  it.each<[string, string, string, unknown, string[]]>([
    ["a missing field", "POST", FLAGS, {}, ["/key"]],
    ["an unknown field", "POST", FLAGS, { key: "a", colour: "red" }, ["/colour"]],
    ["a field of the wrong type", "POST", FLAGS, { key: "a", tags: "redis" }, ["/tags"]],
    ["an element deep inside", "POST", FLAGS, { key: "a", tags: ["ok", 7] }, ["/tags/1"]],
    ["a bad key", "POST", FLAGS, { key: "no spaces" }, ["/key"]],
    ["a reserved key", "POST", FLAGS, { key: "constructor" }, ["/key"]],
    [
      "a rule deep inside, within the alternative that was meant",
      "POST",
      FLAGS,
      { key: "a", environments: { production: { rules: [{ id: "r", when: [], serve: { split: { on: "x" } } }] } } },
      ["/environments/production/rules/0/serve/split/on"],
    ],
    ["a name with a slash", "POST", FLAGS, { key: "a", metadata: { "a/b": {} } }, ["/metadata/a~1b"]],
    ["no reason", "POST", `${PRODUCTION}/flags/contended/kill`, {}, ["/reason"]],
    ["an empty reason", "POST", `${PRODUCTION}/flags/contended/kill`, { reason: "" }, ["/reason"]],
    ["a body that is no object", "POST", FLAGS, [], [""]],
    ["a path that is no key", "GET", `${FLAGS}/not%20a%20key`, undefined, ["path.flag"]],
    ["a path that is no number", "GET", `${PRODUCTION}/receipts/last`, undefined, ["path.revision"]],
    ["a page that is too large", "GET", `${FLAGS}?limit=${LIMITS.pageSize + 1}`, undefined, ["query.limit"]],
    ["no page at all", "GET", `${FLAGS}?limit=0`, undefined, ["query.limit"]],
    ["an unknown parameter", "GET", `${FLAGS}?colour=red`, undefined, ["query.colour"]],
    ["a prototype as parameter", "GET", `${FLAGS}?__proto__=x`, undefined, ["query.__proto__"]],
    ["a parameter given twice", "GET", `${FLAGS}?tag=a&tag=b`, undefined, ["query.tag"]],
    ["a cursor of one's own", "GET", `${FLAGS}?cursor=abc`, undefined, ["query.cursor"]],
    [
      "a wait that is too long",
      "POST",
      `${PRODUCTION}/kill?waitMs=${LIMITS.waitMs + 1}`,
      { tag: "x", reason: "x" },
      ["query.waitMs"],
    ],
  ])("%s", async (_what, method, target, body, paths) => {
    expect(refusal(await under.request(method, target, { body }))).toEqual({ code: "invalid_request", paths });
  });

  it("names at most twenty of many", async () => {
    const body = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`x${index}`, 1]));
    const { paths } = refusal(await under.request("POST", FLAGS, { body: { key: "a", ...body } }));
    expect(paths).toHaveLength(20);
  });

  it("writes nothing", async () => {
    const keys = async () =>
      ((await under.request("GET", `${FLAGS}?limit=200`)).body.items as { key: string }[]).map(({ key }) => key);
    const before = await keys();
    await createFlag("half-made", { environments: { production: { fallthrough: { split: { on: 50, off: 49 } } } } });
    expect(await keys()).toEqual(before);
  });
});

/*
 * Every code that a route documents, by a request that provokes it. Those that need a failing disk, a slow client or an SDK
 * are tested where these are made.
 */
const ELSEWHERE: readonly ErrorCode[] = [
  "storage_unknown_outcome",
  "storage_read_only",
  "storage_full",
  "internal",
  "request_timeout",
  "headers_too_large",
  "position_ahead",
  "telemetry_too_old",
  "backup_running",
  "backup_failed",
  // These need a plan, deliveries that have failed, or a server with a single admin token.
  "last_admin_token",
  "webhook_unknown",
  "webhook_disabled",
  "delivery_not_found",
  "delivery_not_dead",
  // The controller stands down at once, so that it takes a ledger without one.
  "rollout_flag_changed",
];

type Provocation = () => Promise<Reply>;

const get =
  (target: string): Provocation =>
  () =>
    under.request("GET", target);
const post =
  (target: string, body: unknown, headers = {}): Provocation =>
  () =>
    under.request("POST", target, { body, headers });
const patch =
  (target: string, body: unknown, headers = {}): Provocation =>
  () =>
    under.request("PATCH", target, { body, headers });

const why = { reason: "x" };
const contended = `${PRODUCTION}/flags/codes`;
const rule = (condition: object) => ({ rules: [{ id: "r", when: [condition], serve: { variant: "on" } }] });

const RELEASE = { canary: "on", control: "off", stages: [{ percent: 10 }, { percent: 100 }] };

let releaseCount = 0;
/** A command refused, of a rollout of its own on a flag of its own. */
const release =
  (plan: object, commands: readonly string[], prepare: (flag: string) => Promise<unknown> = async () => null) =>
  async (): Promise<Reply> => {
    const key = `codes-release-${++releaseCount}`;
    await createFlag(key);
    const flag = `${PRODUCTION}/flags/${key}`;
    const created = await post(`${flag}/rollouts`, { ...RELEASE, ...plan })();
    await prepare(flag);
    const replies = [created];
    for (const command of commands) {
      replies.push(await post(`/api/v1/rollouts/${String(created.body.id)}/${command}`, {})());
    }
    return replies.at(-1) ?? created;
  };

/** Today and tomorrow, for a day may end while a test runs. */
const NOW = [0, 1].map((days) => WEEKDAYS[(new Date().getUTCDay() + 6 + days) % 7]);

const PROVOCATIONS: Partial<Record<ErrorCode, Provocation>> = {
  invalid_json: post(FLAGS, "{"),
  invalid_request: post(FLAGS, {}),
  unsupported_media_type: post(FLAGS, "key=a", { "content-type": "application/x-www-form-urlencoded" }),
  body_too_large: post(FLAGS, JSON.stringify({ key: "a", description: "x".repeat(LIMITS.adminBodyBytes) })),
  not_found: get("/api/v1/nothing"),
  method_not_allowed: post("/api/v1/audit", {}),
  unauthenticated: () => under.request("GET", FLAGS, { token: null }),
  forbidden: async () =>
    under.request("POST", FLAGS, { token: await under.createToken("viewer", null), body: { key: "a" } }),
  too_many_failures: async () => {
    const guess = () => under.request("GET", FLAGS, { token: "x", headers: { "x-forwarded-for": "203.0.113.9" } });
    for (let tries = 0; tries < LIMITS.failedAuthenticationsPerAddressPerMinute; tries++) await guess();
    return guess();
  },
  version_mismatch: patch(contended, {}, { "if-match": '"77"' }),
  precondition_required: () =>
    under.request("PUT", "/api/v1/segments/codes", {
      body: { when: [{ attribute: "a", op: "exists", values: [true] }] },
    }),
  idempotency_key_reused: async () => {
    await post("/api/v1/tokens", { kind: "viewer", name: "a" }, { "idempotency-key": "codes" })();
    return post("/api/v1/tokens", { kind: "viewer", name: "b" }, { "idempotency-key": "codes" })();
  },
  limit_exceeded: async () => {
    const entries = (from: number) =>
      Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`m${from + index}`, 1]));
    await patch(`${FLAGS}/codes`, { metadata: entries(0) })();
    return patch(`${FLAGS}/codes`, { metadata: entries(100) })();
  },
  flag_not_found: get(`${FLAGS}/never`),
  flag_exists: post(FLAGS, { key: "codes" }),
  flag_archived: patch(`${FLAGS}/codes-archived`, { description: "x" }),
  flag_in_use: () => under.request("DELETE", `${FLAGS}/codes-required`),
  variant_in_use: patch(`${FLAGS}/codes`, { variants: { off: null } }),
  variant_unknown: patch(contended, { fallthrough: { variant: "maybe" } }),
  variant_value_immutable: patch(`${FLAGS}/codes`, { variants: { on: { value: false } } }),
  variant_type_mismatch: post(FLAGS, { key: "codes-typed", type: "number", variants: { one: { value: "1" } } }),
  field_immutable: patch(contended, { salt: 1 }),
  prerequisite_invalid: patch(contended, { prerequisites: [{ flag: "never", variants: ["on"] }] }),
  prerequisite_cycle: patch(`${PRODUCTION}/flags/codes-required`, {
    prerequisites: [{ flag: "codes-requiring", variants: ["on"] }],
  }),
  condition_invalid: patch(contended, rule({ attribute: "email", op: "matches", values: ["(?=x)"] })),
  segment_not_found: get("/api/v1/segments/never"),
  segment_unknown: patch(contended, rule({ segment: "never" })),
  segment_in_use: () => under.request("DELETE", "/api/v1/segments/codes"),
  environment_not_found: get("/api/v1/environments/never"),
  environment_exists: post("/api/v1/environments", { key: "production" }),
  environment_archived: () => under.request("DELETE", "/api/v1/environments/codes-archived"),
  flag_killed: post(`${PRODUCTION}/flags/codes-killed/kill`, why),
  flag_not_killed: post(`${contended}/restore`, why),
  kill_matches_nothing: post(`${PRODUCTION}/kill`, { tag: "nobody", ...why }),
  rollout_not_found: get("/api/v1/rollouts/never/metrics"),
  receipt_expired: get(`${PRODUCTION}/receipts/123456`),
  token_not_found: get("/api/v1/tokens/000000000000"),
  token_scope_invalid: post("/api/v1/tokens", { kind: "server", name: "a" }),
  secret_shown_once: async () => {
    const create = post("/api/v1/tokens", { kind: "viewer", name: "a" }, { "idempotency-key": "codes-token" });
    await create();
    return create();
  },
  decision_not_found: async () => {
    const { body } = await release({}, [])();
    return under.request("GET", `/api/v1/rollouts/${String(body.id)}/decisions/never`);
  },
  rollout_exists: async () => {
    await release({}, [])();
    return post(`${PRODUCTION}/flags/codes-release-${releaseCount}/rollouts`, RELEASE)();
  },
  rollout_plan_invalid: release({ windows: [{ timezone: "Middle/Earth", days: ["mon"] }] }, []),
  rollout_scope_unknown: release({ scope: { rule: "never" } }, []),
  rollout_canary_has_share: release({}, ["start"], (flag) => patch(flag, { fallthrough: { variant: "on" } })()),
  rollout_control_has_no_share: async () => {
    const variants = { a: { value: 1 }, b: { value: 2 }, c: { value: 3 } };
    await createFlag("codes-three", { type: "number", variants });
    const plan = { ...RELEASE, canary: "b", control: "c" };
    const { body } = await post(`${PRODUCTION}/flags/codes-three/rollouts`, plan)();
    return under.request("POST", `/api/v1/rollouts/${String(body.id)}/start`, { body: {} });
  },
  rollout_not_live: release({}, ["rollback"]),
  rollout_at_last_stage: release({ stages: [{ percent: 100 }] }, ["start", "promote"]),
  transition_not_allowed: release({}, ["start", "start"]),
  rollout_flag_killed: release({}, ["start"], (flag) => post(`${flag}/kill`, why)()),
  checklist_incomplete: release({ checklist: ["Dashboards"] }, ["start"]),
  outside_release_window: release({ freezes: [{ timezone: "UTC", days: NOW }] }, ["start"]),
  approval_missing: release({ stages: [{ percent: 10, approval: true }, { percent: 100 }] }, ["start", "promote"]),
  approval_not_asked: release({}, ["start", "approve"]),
  approval_role_missing: release({ stages: [{ percent: 10, approval: { roles: ["SRE"] } }] }, ["start", "approve"]),
  comment_required: release({}, ["start", "promote"]),
  backup_not_found: get("/api/v1/backups/bunting-20260101T000000000Z.db"),
  webhook_not_found: get("/api/v1/webhooks/never"),
  webhook_exists: async () => {
    const create = post("/api/v1/webhooks", { name: "codes", url: "https://hooks.example.com/" });
    await create();
    return create();
  },
  webhook_scope_invalid: post("/api/v1/webhooks", {
    name: "codes-scope",
    url: "https://hooks.example.com/",
    environments: ["never"],
  }),
  webhook_tested_recently: async () => {
    await post("/api/v1/webhooks", { name: "codes-tested", url: "https://nobody.invalid/", kinds: ["flag.killed"] })();
    const test = () => under.request("POST", "/api/v1/webhooks/codes-tested/test");
    await test();
    return test();
  },
  outgoing_address_refused: post("/api/v1/webhooks", { name: "codes-inside", url: "https://127.0.0.1/" }),
};

describe("every error code of the admin API", () => {
  beforeAll(async () => {
    await under.request("PUT", "/api/v1/segments/codes", {
      body: { when: [{ attribute: "a", op: "exists", values: [true] }] },
    });
    await createFlag("codes");
    await createFlag("codes-required");
    await createFlag("codes-requiring", {
      environments: {
        production: { prerequisites: [{ flag: "codes-required", variants: ["on"] }], ...rule({ segment: "codes" }) },
      },
    });
    await createFlag("codes-archived");
    await under.request("DELETE", `${FLAGS}/codes-archived`);
    await createFlag("codes-killed");
    await under.request("POST", `${PRODUCTION}/flags/codes-killed/kill`, { body: why });
    await under.request("POST", "/api/v1/environments", { body: { key: "codes-archived" } });
    await under.request("DELETE", "/api/v1/environments/codes-archived");
  });

  it("is provoked here or named as tested elsewhere", async () => {
    const { text } = await under.request("GET", "/openapi.json");
    const documented = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => text.includes(`/docs/errors#${code}"`));
    expect(documented.length).toBeGreaterThan(ELSEWHERE.length);
    expect(documented.filter((code) => !(code in PROVOCATIONS) && !ELSEWHERE.includes(code))).toEqual([]);
    expect(ELSEWHERE.filter((code) => code in PROVOCATIONS || !documented.includes(code))).toEqual([]);
  });

  it.each(Object.entries(PROVOCATIONS))("%s is a problem document", async (code, provoke) => {
    expect(refusal(await provoke()).code).toBe(code);
  });
});

describe("405 and 404", () => {
  it("says which methods a path takes", async () => {
    const reply = await under.request("DELETE", FLAGS);
    expect(refusal(reply).code).toBe("method_not_allowed");
    expect(reply.headers.get("allow")).toBe("GET, POST, HEAD");
    const trace = await under.request("OPTIONS", FLAGS);
    expect(refusal(trace).code).toBe("method_not_allowed");
  });

  it("answers HEAD like GET, without a body", async () => {
    const reply = await under.request("HEAD", FLAGS);
    expect([reply.status, reply.text]).toEqual([200, ""]);
  });

  it("lets no other origin in", async () => {
    const headers = { origin: "https://evil.example", "access-control-request-method": "GET" };
    for (const method of ["GET", "OPTIONS"]) {
      const reply = await under.request(method, FLAGS, { headers });
      expect([...reply.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
  });
});
