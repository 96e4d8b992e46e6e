import { TOKEN_KINDS, type TokenKind } from "@bunting/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RequestOptions, type ServerUnderTest, startServerUnderTest } from "./server-under-test.ts";

/*
 * Who may do what, written down once more, by hand: a letter per kind (admin, operator, viewer, server, client). The matrix
 * below asks every route with every kind of token, for its own environment and for another one.
 */

interface Row {
  readonly method: string;
  /** `{environment}` is filled in. */
  readonly path: string;
  readonly may: "aov" | "ao" | "a" | "aovsc" | "s" | "open";
  readonly body?: unknown;
  /** Touches every environment: a token that is limited to one may not, whatever its kind. */
  readonly global?: true;
  readonly headers?: Record<string, string>;
}

const environments = "/api/v1/environments";
const environment = `${environments}/{environment}`;
const why = { reason: "matrix" };
/** Answered after authorisation, so that the matrix leaves things as they are. */
const nobody = "nobody-has-this-key";

const ROWS: Readonly<Record<string, Row>> = {
  listEnvironments: { method: "GET", path: environments, may: "aov" },
  createEnvironment: { method: "POST", path: environments, may: "a", global: true, body: { key: "production" } },
  getEnvironment: { method: "GET", path: environment, may: "aov" },
  archiveEnvironment: { method: "DELETE", path: environment, may: "a" },
  listFlags: { method: "GET", path: "/api/v1/flags", may: "aov" },
  createFlag: { method: "POST", path: "/api/v1/flags", may: "a", global: true, body: { key: "matrix" } },
  getFlag: { method: "GET", path: "/api/v1/flags/matrix", may: "aov" },
  patchFlag: { method: "PATCH", path: "/api/v1/flags/matrix", may: "a", global: true, body: {} },
  archiveFlag: { method: "DELETE", path: `/api/v1/flags/${nobody}`, may: "a", global: true },
  listConfigurations: { method: "GET", path: `${environment}/flags`, may: "aov" },
  getConfiguration: { method: "GET", path: `${environment}/flags/matrix`, may: "aov" },
  putConfiguration: {
    method: "PUT",
    path: `${environment}/flags/${nobody}`,
    may: "ao",
    headers: { "if-match": "*" },
    body: {
      enabled: true,
      offVariant: "off",
      bucketBy: ["key"],
      pins: {},
      prerequisites: [],
      rules: [],
      fallthrough: { variant: "off" },
    },
  },
  patchConfiguration: { method: "PATCH", path: `${environment}/flags/matrix`, may: "ao", body: {} },
  killFlag: { method: "POST", path: `${environment}/flags/${nobody}/kill`, may: "ao", body: why },
  killFlags: { method: "POST", path: `${environment}/kill`, may: "ao", body: { flags: [nobody], ...why } },
  restoreFlag: { method: "POST", path: `${environment}/flags/matrix/restore`, may: "ao", body: why },
  reshuffleFlag: { method: "POST", path: `${environment}/flags/${nobody}/reshuffle`, may: "a", body: why },
  listWebhooks: { method: "GET", path: "/api/v1/webhooks", may: "a" },
  createWebhook: {
    method: "POST",
    path: "/api/v1/webhooks",
    may: "a",
    body: { name: nobody, url: "http://hooks.example.com/" },
  },
  getWebhook: { method: "GET", path: `/api/v1/webhooks/${nobody}`, may: "a" },
  deleteWebhook: { method: "DELETE", path: `/api/v1/webhooks/${nobody}`, may: "a" },
  patchWebhook: { method: "PATCH", path: `/api/v1/webhooks/${nobody}`, may: "a", body: { enabled: true } },
  rotateWebhook: { method: "POST", path: `/api/v1/webhooks/${nobody}/rotate`, may: "a", body: {} },
  testWebhook: { method: "POST", path: `/api/v1/webhooks/${nobody}/test`, may: "a" },
  redeliver: { method: "POST", path: `/api/v1/webhooks/${nobody}/deliveries/d-1/redeliver`, may: "a" },
  listDeliveries: { method: "GET", path: `/api/v1/webhooks/${nobody}/deliveries`, may: "a" },
  getReceipt: { method: "GET", path: `${environment}/receipts/1`, may: "aov" },
  listInstances: { method: "GET", path: `${environment}/instances`, may: "aov" },
  getExposures: { method: "GET", path: `${environment}/flags/matrix/exposures`, may: "aov" },
  getUnknownNames: { method: "GET", path: `${environment}/unknown`, may: "aov" },
  postGauge: { method: "POST", path: `${environment}/gauges`, may: "ao", body: { metric: "lighthouse", value: 93 } },
  getRolloutMetrics: { method: "GET", path: `/api/v1/rollouts/${nobody}/metrics`, may: "aov" },
  listEvidence: { method: "GET", path: `/api/v1/rollouts/${nobody}/evidence`, may: "aov" },
  createRollout: {
    method: "POST",
    path: `${environment}/flags/${nobody}/rollouts`,
    may: "ao",
    body: { canary: "on", control: "off", stages: [{ percent: 100 }] },
  },
  listRolloutsOfFlag: { method: "GET", path: `${environment}/flags/matrix/rollouts`, may: "aov" },
  listRollouts: { method: "GET", path: "/api/v1/rollouts", may: "aov" },
  getRollout: { method: "GET", path: `/api/v1/rollouts/${nobody}`, may: "aov" },
  listDecisions: { method: "GET", path: `/api/v1/rollouts/${nobody}/decisions`, may: "aov" },
  getDecision: { method: "GET", path: `/api/v1/rollouts/${nobody}/decisions/${nobody}.1`, may: "aov" },
  getRolloutReport: { method: "GET", path: `/api/v1/rollouts/${nobody}/report`, may: "aov" },
  startRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/start`, may: "ao", body: {} },
  pauseRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/pause`, may: "ao", body: {} },
  resumeRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/resume`, may: "ao", body: {} },
  promoteRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/promote`, may: "ao", body: {} },
  rollbackRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/rollback`, may: "ao", body: {} },
  abortRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/abort`, may: "ao", body: {} },
  approveRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/approve`, may: "ao", body: {} },
  rejectRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/reject`, may: "ao", body: {} },
  retryRollout: { method: "POST", path: `/api/v1/rollouts/${nobody}/retry`, may: "ao", body: {} },
  tickChecklist: { method: "POST", path: `/api/v1/rollouts/${nobody}/checklist`, may: "ao", body: { item: "x" } },
  evaluate: { method: "POST", path: `${environment}/evaluate`, may: "aov", body: { context: {} } },
  listSegments: { method: "GET", path: "/api/v1/segments", may: "aov" },
  getSegment: { method: "GET", path: "/api/v1/segments/matrix", may: "aov" },
  putSegment: {
    method: "PUT",
    path: "/api/v1/segments/matrix",
    may: "a",
    global: true,
    headers: { "if-match": "*" },
    body: { when: [{ attribute: "key", op: "exists", values: [true] }] },
  },
  deleteSegment: { method: "DELETE", path: `/api/v1/segments/${nobody}`, may: "a", global: true },
  listTokens: { method: "GET", path: "/api/v1/tokens", may: "a" },
  createToken: { method: "POST", path: "/api/v1/tokens", may: "a", body: { kind: "server", name: "x" } },
  getSelf: { method: "GET", path: "/api/v1/tokens/self", may: "aovsc" },
  getToken: { method: "GET", path: "/api/v1/tokens/000000000000", may: "a" },
  revokeToken: { method: "DELETE", path: "/api/v1/tokens/000000000000", may: "a" },
  listAudit: { method: "GET", path: "/api/v1/audit", may: "aov" },
  verifyAudit: { method: "GET", path: "/api/v1/audit/verify", may: "aov" },
  export: { method: "GET", path: "/api/v1/export", may: "a" },
  makeBackup: { method: "POST", path: "/api/v1/backups", may: "a", global: true },
  downloadBackup: { method: "GET", path: "/api/v1/backups/bunting-20260101T000000000Z.db", may: "a", global: true },
  getRuleset: { method: "GET", path: "/sdk/v1/ruleset", may: "s" },
  postTelemetry: { method: "POST", path: "/sdk/v1/telemetry", may: "s", body: {} },
  metrics: { method: "GET", path: "/metrics", may: "aov" },
  health: { method: "GET", path: "/healthz", may: "open" },
  readiness: { method: "GET", path: "/readyz", may: "open" },
  openapi: { method: "GET", path: "/openapi.json", may: "open" },
  docs: { method: "GET", path: "/docs", may: "open" },
  docsAsset: { method: "GET", path: "/docs/start.js", may: "open" },
  errorReference: { method: "GET", path: "/docs/errors", may: "open" },
  root: { method: "GET", path: "/", may: "open" },
};

/** Each failed authentication comes from an address of its own, so that the limit on guessing stays out of the way. */
const BEHIND_PROXY = { environment: { BUNTING_TRUSTED_PROXIES: "1" } };
let guesses = 0;
const fromElsewhere = () => ({ "x-forwarded-for": `198.51.${++guesses >> 8}.${guesses & 255}` });

const OWN = "production";
const OTHER = "staging";

let under: ServerUnderTest;
const tokens = new Map<TokenKind, string>();

beforeAll(async () => {
  under = await startServerUnderTest(BEHIND_PROXY);
  await under.request("POST", "/api/v1/flags", { body: { key: "matrix" } });
  await under.request("PUT", "/api/v1/segments/matrix", { body: ROWS.putSegment?.body });
  for (const kind of TOKEN_KINDS) tokens.set(kind, await under.createToken(kind, [OWN]));
});
afterAll(() => under.dispose());

function ask(row: Row, where: string, token: string | null) {
  const options: RequestOptions = {
    token,
    ...(row.body !== undefined && { body: row.body }),
    headers: { ...row.headers, ...fromElsewhere() },
  };
  return under.request(row.method, row.path.replace("{environment}", where), options);
}

/** What stopped the request before its handler had a say, or "passed". */
function gate({ status, body }: { status: number; body: { readonly code?: unknown } }): string {
  if (status === 401 || status === 403 || body.code === "environment_not_found") return String(body.code);
  return "passed";
}

describe("every route asks who is there, and whether such a token may", () => {
  it("is stated here for each operation of /openapi.json", async () => {
    const document = JSON.parse((await under.request("GET", "/openapi.json")).text) as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const operations = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map((one) => one.operationId),
    );
    expect(operations.filter((id) => !(id in ROWS))).toEqual([]);
    expect(Object.keys(ROWS).filter((id) => !operations.includes(id))).toEqual([]);
  });

  it.each(Object.entries(ROWS))("%s", async (_operation, row) => {
    const isBelowEnvironment = row.path.includes("{environment}");
    const actual: string[] = [];
    const expected: string[] = [];
    const note = (who: string, got: string, wanted: string): void => {
      actual.push(`${who}: ${got}`);
      expected.push(`${who}: ${wanted}`);
    };

    note("nobody", gate(await ask(row, OWN, null)), row.may === "open" ? "passed" : "unauthenticated");
    for (const kind of TOKEN_KINDS) {
      // Archiving its own environment would end the matrix: the admin's right to it is tested with the routes.
      if (row === ROWS.archiveEnvironment && kind === "admin") continue;
      const token = tokens.get(kind) ?? null;
      const isAllowed = row.may === "open" || row.may.includes(kind.charAt(0));
      const own = !isAllowed || row.global ? "forbidden" : "passed";
      note(`${kind}, own`, gate(await ask(row, OWN, token)), row.may === "open" ? "passed" : own);
      if (!isBelowEnvironment) continue;
      note(`${kind}, other`, gate(await ask(row, OTHER, token)), isAllowed ? "environment_not_found" : "forbidden");
      note(`${kind}, unknown`, gate(await ask(row, nobody, token)), isAllowed ? "environment_not_found" : "forbidden");
    }
    expect(actual).toEqual(expected);
  });

  it("answers the same for an environment that is not the token's and one that does not exist", async () => {
    const token = tokens.get("viewer") ?? null;
    const other = await ask({ method: "GET", path: environment, may: "aov" }, OTHER, token);
    const unknown = await ask({ method: "GET", path: environment, may: "aov" }, "unknown", token);
    const anonymous = (text: string) => text.replaceAll(/req_[\w-]+/g, "").replaceAll(OTHER, "unknown");
    expect(anonymous(other.text)).toBe(anonymous(unknown.text));
  });
});

describe("a token that is limited to environments", () => {
  it("lists those, and nobody else's configurations, instances, audit, tokens or exports", async () => {
    const token = tokens.get("admin") ?? null;
    const items = async (target: string) => {
      const { body } = await under.request("GET", target, { token });
      return body.items as { key?: string; environments?: string[]; object?: { environment: string | null } }[];
    };
    expect((await items("/api/v1/environments")).map(({ key }) => key)).toEqual([OWN]);
    await under.request("PATCH", `${environments}/${OTHER}/flags/matrix`, { body: { enabled: false } });
    const seen = (await items("/api/v1/audit?limit=200")).map(({ object }) => object?.environment);
    expect(new Set(seen)).not.toContain(OTHER);
    const others = (await items("/api/v1/tokens")).filter(
      ({ environments: theirs }) => !theirs?.every((key) => key === OWN),
    );
    expect(others).toEqual([]);
    const { body } = await under.request("GET", "/api/v1/export", { token });
    expect((body.environments as { key: string }[]).map(({ key }) => key)).toEqual([OWN]);
    expect(JSON.stringify(body.configurations)).not.toContain(OTHER);
  });

  it("cannot read or revoke a token that reaches further, and cannot create one", async () => {
    const token = tokens.get("admin") ?? null;
    const { body: first } = await under.request("GET", "/api/v1/tokens/self");
    for (const method of ["GET", "DELETE"]) {
      expect((await under.request(method, `/api/v1/tokens/${String(first.id)}`, { token })).body.code).toBe(
        "token_not_found",
      );
    }
    const wider = { kind: "admin", name: "wider", environments: null };
    expect((await under.request("POST", "/api/v1/tokens", { token, body: wider })).body.code).toBe(
      "token_scope_invalid",
    );
  });
});

describe("an operator", () => {
  it("changes percentages, and nothing else of a configuration", async () => {
    const token = tokens.get("operator") ?? null;
    const edit = (body: object) => under.request("PATCH", `${environments}/${OWN}/flags/matrix`, { token, body });
    expect((await edit({ fallthrough: { split: { on: 10, off: 90 } } })).status).toBe(200);
    expect((await edit({ enabled: false })).body.code).toBe("forbidden");
    expect((await edit({ pins: { on: ["me"] } })).body.code).toBe("forbidden");
    expect((await edit({ rules: [{ id: "mine", when: [], serve: { variant: "on" } }] })).body.code).toBe("forbidden");
  });
});

describe("the header Authorization", () => {
  const self = "/api/v1/tokens/self";
  const status = async (authorization: string) =>
    (await under.request("GET", self, { token: null, headers: { authorization, ...fromElsewhere() } })).status;

  it("takes a live token behind `Bearer `, once", async () => {
    const token = under.firstRun.adminToken;
    expect(await status(`Bearer ${token}`)).toBe(200);
    const refused = [
      token,
      `bearer ${token}`,
      `BEARER ${token}`,
      `Bearer  ${token}`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer ${token} x`,
      `Basic ${Buffer.from(`:${token}`).toString("base64")}`,
      `Token ${token}`,
      `Bearer ${token.slice(0, -1)}`,
      `Bearer ${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`,
      `Bearer ${token}${"x".repeat(128)}`,
      "Bearer",
    ];
    for (const header of refused)
      expect([header.slice(0, 12), await status(header)]).toEqual([header.slice(0, 12), 401]);
  });

  it("is the only place a token is looked for", async () => {
    const token = under.firstRun.adminToken;
    const places: [string, Record<string, string>][] = [
      [`${self}?token=${token}`, {}],
      [`${self}?access_token=${token}`, {}],
      [self, { cookie: `token=${token}` }],
      [self, { "x-api-key": token }],
      [self, { "sec-websocket-protocol": `bunting.v1, bunting.token.${token}` }],
    ];
    for (const [target, headers] of places) {
      const options = { token: null, headers: { ...headers, ...fromElsewhere() } };
      expect((await under.request("GET", target, options)).status).toBe(401);
    }
  });

  it("says the same about a token that is malformed, unknown or revoked", async () => {
    const revoked = await under.createToken("viewer", null);
    const { body } = await under.request("GET", self, { token: revoked });
    await under.request("DELETE", `/api/v1/tokens/${String(body.id)}`);
    const texts = await Promise.all(
      ["nonsense", revoked].map(
        async (token) => (await under.request("GET", self, { token, headers: fromElsewhere() })).text,
      ),
    );
    const [first, second] = texts.map((text) => text.replace(/req_[\w-]+/, ""));
    expect(first).toBe(second);
  });
});

describe("guessing tokens", () => {
  it("is counted per address, and a live token passes all the same", async () => {
    const fresh = await startServerUnderTest(BEHIND_PROXY);
    const guess = (address: string) =>
      fresh.request("GET", "/api/v1/flags", {
        token: "nonsense",
        headers: { "x-forwarded-for": `6.6.6.6, ${address}` },
      });
    try {
      const codes: unknown[] = [];
      for (let tries = 0; tries < 21; tries++) codes.push((await guess("192.0.2.1")).body.code);
      expect(codes).toEqual([...Array(20).fill("unauthenticated"), "too_many_failures"]);
      const last = await guess("192.0.2.1");
      expect(last.status).toBe(429);
      expect(Number(last.headers.get("retry-after"))).toBeGreaterThan(0);
      expect((await guess("192.0.2.2")).body.code).toBe("unauthenticated");
      const live = { headers: { "x-forwarded-for": "6.6.6.6, 192.0.2.1" } };
      expect((await fresh.request("GET", "/api/v1/flags", live)).status).toBe(200);
    } finally {
      await fresh.dispose();
    }
  });
});
