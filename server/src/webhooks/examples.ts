const AT = "2026-11-20T03:04:05.678Z";

/* What /openapi.json shows as answers. A test parses each with its schema. */

export const WEBHOOK = {
  id: "7Hq2ZxT7rB2k",
  name: "releases",
  origin: "https://hooks.example.com",
  format: "slack",
  enabled: true,
  kinds: null,
  environments: ["production"],
  secrets: [{ createdAt: "2026-11-02T09:00:00.000Z", endsAt: null }],
  createdAt: "2026-11-02T09:00:00.000Z",
  createdBy: "8aK2mPq0Lw4e",
  testedAt: null,
};

/** The secret is made of dots, so that nobody can use it and no scanner takes it for a leak. */
export const WEBHOOK_WITH_SECRET = { ...WEBHOOK, secret: `bnt_webhook_${".".repeat(43)}` };

export const DELIVERY = {
  id: "Nq8fTz0Rk81bQyVn6sXw.7Hq2ZxT7rB2k",
  webhook: "releases",
  notification: "Nq8fTz0Rk81bQyVn6sXw",
  kind: "flag.killed",
  state: "waiting",
  createdAt: AT,
  bodyBytes: 412,
  tryCount: 1,
  nextTryAt: "2026-11-20T03:04:10.701Z",
  lastTry: { at: AT, durationMs: 231, statusClass: "5xx", failure: "status", answerBytes: 0 },
};
