/**
 * Values that cross a boundary and need no schema: names, numbers, limits. This entry imports nothing, so that the engine
 * and the SDK can take values from it without bringing zod into a bundle.
 */

/** The websocket subprotocol of the SDK stream. A wire change that is not additive gets a new name. */
export const SUBPROTOCOL = "bunting.v1";

/** Browsers cannot set headers on a websocket: there the token is a second offered subprotocol behind this prefix. */
export const TOKEN_SUBPROTOCOL_PREFIX = "bunting.token.";

/** On the answer to a poll: when it was made, Unix ms by the server's clock. What `sentAt` is on the stream. */
export const SENT_AT_HEADER = "Bunting-Sent-At";

/** Buckets a user can fall into. One bucket is 0.001 %. */
export const BUCKET_COUNT = 100_000;

/**
 * The bucketing algorithm of this release, named in every ruleset entry: murmur3_x86_32 of the UTF-8 bucketing key with
 * seed 0, XOR salt, murmur3's fmix32, scaled to {@link BUCKET_COUNT}. An SDK that meets another number answers ERROR
 * instead of guessing.
 */
export const BUCKETING_ALGORITHM = 1;

export const FLAG_TYPES = ["boolean", "string", "number", "json"] as const;

export const LIFECYCLES = ["release", "ops", "experiment", "permission"] as const;

export const OPERATORS = [
  "equals",
  "not_equals",
  "in",
  "not_in",
  "contains",
  "starts_with",
  "ends_with",
  "greater",
  "greater_or_equal",
  "less",
  "less_or_equal",
  "before",
  "after",
  "semver_equals",
  "semver_greater",
  "semver_less",
  "matches",
  "cidr",
  "exists",
] as const;

/** OpenFeature's resolution reasons, as far as Bunting gives them. */
export const REASONS = ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT", "STALE", "ERROR"] as const;

/** OpenFeature's evaluation error codes, as far as Bunting gives them. */
export const EVALUATION_ERROR_CODES = [
  "PROVIDER_NOT_READY",
  "FLAG_NOT_FOUND",
  "TYPE_MISMATCH",
  "TARGETING_KEY_MISSING",
  "INVALID_CONTEXT",
  "PARSE_ERROR",
  "GENERAL",
] as const;

export const TOKEN_KINDS = ["admin", "operator", "viewer", "server", "client"] as const;

/** States of a rollout. The last three are ends of an attempt; only `retry` leads out of the last two. */
export const ROLLOUT_STATES = [
  "pending",
  "running",
  "paused",
  "awaiting_approval",
  "completed",
  "rolled_back",
  "aborted",
] as const;

/** What a person can ask of a rollout. */
export const ROLLOUT_COMMANDS = [
  "start",
  "pause",
  "resume",
  "promote",
  "rollback",
  "abort",
  "approve",
  "reject",
  "retry",
] as const;

/** Of one analysis. Only an affirmative pass promotes. */
export const VERDICTS = ["pass", "fail", "hold"] as const;

export const HOLD_CAUSES = [
  "insufficient_data",
  "no_data",
  "measurement_error",
  "sample_ratio_mismatch",
  "inconclusive",
  "suspect",
  "environment",
  "guardrail_hold",
  "baking",
  "outside_window",
  "awaiting_approval",
  "flag_changed",
  "flag_killed",
  "manual",
] as const;

export const DECISION_ACTIONS = [
  "none",
  "start",
  "promote",
  "complete",
  "ask_approval",
  "rollback",
  "kill",
  "abort",
  "pause",
  "resume",
  "retry",
  "approve",
  "reject",
  "notify",
] as const;

/** What people are told of a rollout. On webhooks each is behind `rollout.`. */
export const ROLLOUT_NOTICES = [
  "started",
  "stage_reached",
  "baking",
  "held",
  "guardrail_failing",
  "approval_asked",
  "approval_reminder",
  "approved",
  "rejected",
  "paused",
  "resumed",
  "rolled_back",
  "killed",
  "aborted",
  "stood_down",
  "completed",
] as const;

/** Everything a webhook can be told: the notices of a rollout behind `rollout.`, and what happens to a flag by hand. */
export const NOTIFICATION_KINDS = [
  "rollout.announced",
  "rollout.started",
  "rollout.stage_reached",
  "rollout.baking",
  "rollout.held",
  "rollout.guardrail_failing",
  "rollout.approval_asked",
  "rollout.approval_reminder",
  "rollout.approved",
  "rollout.rejected",
  "rollout.paused",
  "rollout.resumed",
  "rollout.rolled_back",
  "rollout.killed",
  "rollout.aborted",
  "rollout.stood_down",
  "rollout.completed",
  "flag.killed",
  "flag.restored",
  "webhook.test",
] as const;

/** How a notification is written: as it is, or as a message of Slack and of what takes Slack's messages. */
export const WEBHOOK_FORMATS = ["json", "slack"] as const;

/** What a failing guardrail does. */
export const GUARDRAIL_ACTIONS = ["rollback", "hold", "alert", "kill"] as const;

export const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** Units are hashed into this many groups, apart from their assignment, so that clustering shows as variance between them. */
export const EVIDENCE_GROUPS = 32;

/** Length of an evidence interval, ms. */
export const EVIDENCE_INTERVAL_MS = 10_000;

/** Windows in which measurements of a rollout are shown. */
export const SERIES_RESOLUTIONS = ["10s", "1m", "1h"] as const;

/** Rungs of the latency ladder, ms: how many outcomes of a group were slower. */
export const LATENCY_LADDER_MS = [10, 20, 50, 100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000] as const;

/** Object keys that are refused wherever a caller chooses a key: they name parts of JavaScript's prototype machinery. */
export const RESERVED_KEYS = ["__proto__", "constructor", "prototype"] as const;

/** A ruleset checksum is a sum of 48-bit numbers modulo this: exact in a double, and free of order. */
export const CHECKSUM_MODULUS = 2 ** 48;

/**
 * Close codes of the stream. 4400-4499 put a client into the slow regime (minutes), 4500-4599 let it reconnect with
 * jitter; an unknown code acts as its range does.
 */
export const CLOSE_CODES = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  DRAIN_DEADLINE: 1012,
  TOO_MANY_MALFORMED: 4400,
  TOKEN_REVOKED: 4401,
  ENVIRONMENT_ARCHIVED: 4403,
  REPLACED: 4409,
  MESSAGE_RATE: 4429,
  INTERNAL: 4500,
  OVERLOAD: 4503,
  SLOW_CONSUMER: 4508,
  HISTORY_REWRITTEN: 4510,
  NO_SIGN_OF_LIFE: 4512,
} as const;

/** Each limit on what a caller may send or hold. Lengths of text are UTF-8 bytes unless the name says otherwise. */
export const LIMITS = {
  /** Bytes of a request body: the admin API. */
  adminBodyBytes: 1024 * 1024,
  /** Bytes of a request body: declarative files. */
  applyBodyBytes: 16 * 1024 * 1024,
  /** Bytes of a telemetry batch, inflated. */
  telemetryBodyBytes: 256 * 1024,
  /** Bytes of an evaluation request. */
  evaluateBodyBytes: 64 * 1024,
  jsonDepth: 64,
  jsonKeysPerObject: 10_000,
  jsonStringBytes: 64 * 1024,

  /** Bytes of one message from a client. Above: close 1009. */
  streamMessageBytes: 64 * 1024,
  malformedMessages: 20,
  messagesPerSecond: 50,
  resyncIntervalMs: 5_000,
  telemetryBatchIntervalMs: 1_000,
  telemetryCells: 1_000,
  telemetryUnknownFlags: 100,
  /** Printable characters of `instance`, `boot` and `sdk`. */
  instanceNameCharacters: 64,
  socketsPerSession: 2,
  streamsPerToken: 20_000,
  snapshotPartBytes: 256 * 1024,
  /** Above this a patch is sent as a snapshot. */
  patchBytes: 256 * 1024,
  /** The largest message an SDK accepts, and the largest ruleset. */
  rulesetBytes: 16 * 1024 * 1024,

  flagsPerEnvironment: 10_000,
  environments: 50,
  segments: 1_000,
  /** Revoked ones included: their ids stay in the audit. */
  tokens: 10_000,
  rolesPerToken: 8,
  /** Ended ones included: their reports stay. */
  rollouts: 20_000,
  variantsPerFlag: 50,
  variantValueBytes: 64 * 1024,
  rulesPerConfiguration: 200,
  conditionsPerRule: 50,
  valuesPerCondition: 10_000,
  pinsPerConfiguration: 1_000,
  prerequisitesPerConfiguration: 16,
  prerequisiteDepth: 10,
  bucketByAttributes: 8,

  stagesPerPlan: 20,
  guardrailsPerPlan: 32,
  /** Every decision keeps the plan that it was made under. */
  linksPerPlan: 32,
  /** Thirty days. */
  planSeconds: 30 * 24 * 60 * 60,
  /** A metric query, as in PromQL. */
  queryBytes: 2048,
  /** Largest count of one cell: sums of a million of them are still exact. */
  evidenceCount: 2 ** 32,
  evidenceCells: 400,
  sketchBins: 871,
  ladderEntries: 448,
  metricsPerRollout: 16,
  breakersPerBatch: 64,
  gaugesPerBatch: 32,

  contextBytes: 64 * 1024,
  contextAttributes: 256,
  /** A longer bucketing key counts as missing; it is never cut. */
  bucketingKeyBytes: 1024,
  patternCharacters: 256,
  /** Size of the programs that the patterns of one condition compile to, together: time per character of a subject. */
  patternInstructions: 1_000,
  /** Each holds its programs in every process that decides the flag. */
  patternConditionsPerConfiguration: 100,
  /** A longer subject of `matches` does not match. */
  matchedValueCharacters: 4096,
  /** A longer list counts as a missing attribute. */
  listElements: 10_000,

  keyCharacters: 128,
  nameBytes: 128,
  tagBytes: 64,
  tagsPerFlag: 32,
  descriptionBytes: 4096,
  reasonBytes: 2048,
  metadataEntries: 32,

  webhooks: 50,
  urlBytes: 2048,
  webhookSecretMinCharacters: 24,
  webhookSecretCharacters: 128,
  /** Bytes of the body of one delivery. */
  notificationBytes: 64 * 1024,
  /** Of one notification; `flagCount` says how many there are. */
  flagsPerNotification: 100,
  /** Waiting for one webhook. Above, the oldest are given up. */
  deliveriesWaiting: 1_000,
  /** Kept of one webhook after their end, to be looked at. */
  deliveriesKept: 1_000,
  deliveryTries: 12,
  deliveryTimeoutMs: 5_000,
  /** Bytes of an answer to a request of the server's own. */
  outgoingAnswerBytes: 64 * 1024,
  webhookTestIntervalMs: 10_000,

  idempotencyKeyCharacters: 255,
  idempotencyKeptMs: 24 * 60 * 60 * 1000,
  pageSize: 200,
  waitMs: 30_000,
  concurrentWaits: 100,
  failedAuthenticationsPerAddressPerMinute: 20,
  failedAuthenticationsPerTokenPerMinute: 10,
} as const;

/** Timing of the stream, milliseconds. Invariants: `2 * heartbeatMs < staleAfterMs`, `backoffCapMs < staleAfterMs`. */
export const STREAM_TIMING = {
  heartbeatMs: 20_000,
  /** A client that heard nothing for `heartbeatMs` times this drops the connection. */
  silenceFactor: 1.5,
  staleAfterMs: 60_000,
  resumeTtlMs: 120_000,
  backoffBaseMs: 100,
  backoffCapMs: 30_000,
  /** A connection must be healthy this long before the back-off starts from its base again. */
  backoffResetMs: 60_000,
  /** After a connection that lived this long, the first try waits random(0, firstTryMs). */
  firstTryAfterMs: 5_000,
  firstTryMs: 50,
  slowRegimeMinMs: 150_000,
  slowRegimeMaxMs: 300_000,
  ackHoldMinMs: 20,
  ackHoldMaxMs: 1_000,
  /** An early kill whose gap has not closed after this asks for a snapshot. */
  earlyKillResyncMs: 1_000,
} as const;
