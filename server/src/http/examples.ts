import { createHash } from "node:crypto";

/*
 * What /openapi.json shows as answers. One story: somebody rolls out a read-through cache, and it is killed at three in the
 * morning. A test parses each with its schema.
 */

const POSITION = { epoch: "k3Jd81Qz", revision: 42 };
const AT = "2026-11-20T03:04:05.678Z";

export const pageOf = <Item>(item: Item) => ({ items: [item], nextCursor: null });

export const ENVIRONMENT = {
  key: "production",
  name: "Production",
  createdAt: "2026-11-02T09:00:00.000Z",
  archivedAt: null,
  position: POSITION,
  checksum: "9f86d081884c",
  flagCount: 118,
  connectedInstances: 2413,
};

export const FLAG = {
  key: "redis-readthrough",
  type: "boolean",
  description: "Reads sessions through Redis",
  owner: "sessions-team",
  tags: ["redis"],
  lifecycle: "release",
  metadata: {},
  variants: { on: { value: true }, off: { value: false } },
  retiredVariants: {},
  archivedAt: null,
  createdAt: "2026-11-03T10:30:00.000Z",
  version: 1,
};

export const CONFIGURATION_DRAFT = {
  enabled: true,
  offVariant: "off",
  bucketBy: ["key"],
  pins: { on: ["qa-17"] },
  prerequisites: [],
  rules: [
    {
      id: "eu-staff",
      when: [{ attribute: "country", op: "in", values: ["FR", "DE"] }, { segment: "staff" }],
      serve: { variant: "on" },
    },
  ],
  fallthrough: { split: { on: 25, off: 75 } },
};

export const CONFIGURATION = {
  ...CONFIGURATION_DRAFT,
  killed: null,
  salt: 2654435769,
  cohort: null,
  version: 12,
  flag: "redis-readthrough",
  environment: "production",
  updatedAt: AT,
  position: POSITION,
};

export const RECEIPT = {
  environment: "production",
  epoch: POSITION.epoch,
  revision: POSITION.revision,
  committedAt: AT,
  connected: 2413,
  applied: 2412,
  pendingCount: 1,
  pending: [
    { instance: "shop-7", boot: "b81c", sdk: "bunting-node/0.1.0", connected: true, acknowledged: 41, lastSeenAt: AT },
  ],
  late: 0,
  latencyMs: { p50: 8, p95: 19, p99: 31, max: 44 },
  complete: false,
};

export const FLAG_CHANGE = {
  environment: "production",
  flags: ["redis-readthrough"],
  position: POSITION,
  receipt: RECEIPT,
};

export const INSTANCE = {
  instance: "shop-7",
  boot: "b81c",
  sdk: "bunting-node/0.1.0",
  transport: "stream",
  connected: true,
  acknowledged: 41,
  backlog: 1,
  connectedAt: "2026-11-20T02:00:00.000Z",
  lastSeenAt: AT,
  token: "5Qm0ZxT7rB2k",
  overridden: [],
};

export const SEGMENT = {
  key: "staff",
  description: "People who work here",
  when: [{ attribute: "email", op: "ends_with", values: ["@example.com"] }],
  version: 1,
};

export const EVALUATION = {
  position: POSITION,
  flags: {
    "redis-readthrough": {
      value: true,
      variant: "on",
      reason: "SPLIT",
      detail: "fallthrough",
      trace: [
        {
          step: "rule",
          name: "eu-staff",
          matched: false,
          conditions: [{ condition: "country in FR, DE", matched: false }],
        },
        { step: "fallthrough", matched: true, bucketBy: "key", bucket: 1234, variant: "on" },
      ],
    },
  },
};

export const TOKEN = {
  id: "5Qm0ZxT7rB2k",
  kind: "server",
  name: "checkout-service",
  environments: ["production"],
  roles: [],
  createdAt: "2026-11-02T09:00:00.000Z",
  createdBy: "8aK2mPq0Lw4e",
  expiresAt: null,
  revokedAt: null,
  lastUsedAt: AT,
};

/** The secret is made of dots, so that nobody can use it and no scanner takes it for a leak. */
export const CREATED_TOKEN = { ...TOKEN, lastUsedAt: null, secret: `bnt_server_5Qm0ZxT7rB2k_${".".repeat(49)}` };

export const SELF = {
  id: "8aK2mPq0Lw4e",
  kind: "operator",
  name: "on-call",
  environments: ["production"],
  roles: ["SRE"],
};

export const AUDIT_ENTRY = {
  number: 207,
  at: AT,
  actor: { token: "8aK2mPq0Lw4e", kind: "operator", name: "on-call" },
  action: "kill",
  object: { kind: "configuration", key: "redis-readthrough", environment: "production" },
  before: { killed: null },
  after: { killed: { by: "on-call", at: AT, reason: "p99 at 4 s" } },
  revisions: { production: 42 },
  reason: "p99 at 4 s",
  requestId: "req_4fTz0Rk81bQyVn6sXw2aLc",
  previousHash: createHash("sha256").update("206").digest("hex"),
  hash: createHash("sha256").update("207").digest("hex"),
};

export const AUDIT_VERIFICATION = {
  entries: 207,
  head: AUDIT_ENTRY.hash,
  intact: true,
  brokenAt: null,
  damagedRows: [],
};

export const BACKUP = {
  name: "bunting-20261120T030405678Z.db",
  madeAt: AT,
  bytes: 1_204_224,
  sha256: createHash("sha256").update("backup").digest("hex"),
  epoch: POSITION.epoch,
  revisions: { development: 12, production: 42, staging: 17 },
  auditEntries: 207,
  auditHead: AUDIT_ENTRY.hash,
};

export const EXPOSURES = {
  flag: "redis-readthrough",
  environment: "production",
  sinceMs: 1_795_057_440_000,
  variants: { on: 25_113, off: 74_887 },
};

const {
  flag: _flag,
  environment: _environment,
  updatedAt: _updatedAt,
  position: _position,
  ...settings
} = CONFIGURATION;

export const EXPORT = {
  format: 1,
  exportedAt: AT,
  epoch: POSITION.epoch,
  environments: [{ key: "production", name: "Production", revision: 42, checksum: ENVIRONMENT.checksum }],
  flags: [FLAG],
  segments: [{ key: SEGMENT.key, description: SEGMENT.description, when: SEGMENT.when }],
  configurations: [{ ...settings, flag: "redis-readthrough", environment: "production" }],
  rollouts: [],
};
