import { z } from "zod";
import { attributeCondition } from "./condition.ts";
import { configuration, configurationDraft, initialConfiguration } from "./configuration.ts";
import { context } from "./context.ts";
import { decision, decisionCounts, guardrailVerdict, listedDecision, rolloutView } from "./decision.ts";
import { evaluationResult, traceStep } from "./evaluation.ts";
import { flag, flagDraft, flagPatch } from "./flag.ts";
import { environmentKey, flagKey, instant, json, segmentKey, text } from "./key.ts";
import { LIMITS } from "./literals.ts";
import { rollout, rolloutPlan, rolloutState, signature } from "./rollout.ts";
import { checksum, epoch, position, revision } from "./ruleset.ts";
import { segment, segmentDraft } from "./segment.ts";
import { createdToken, token, tokenDraft, tokenKind } from "./token.ts";

/*
 * Requests and responses of the admin API, apart from the documents they carry: a request is strict (an unknown field is an
 * error that names it), a response says what the server knows.
 */

/** An error as RFC 9457 has it. */
export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    /** Stable: see the error catalogue. */
    code: z.string(),
    /** What to do about it. */
    remedy: z.string().optional(),
    /** Names this request in the server's log. */
    requestId: z.string(),
    /** What is wrong with which field. `path` is a JSON pointer into the body, or `query.x`, `path.x`, `header.x`. */
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Problem" });
export type Problem = z.infer<typeof problem>;

/** Lists page by cursor: send `nextCursor` back as `?cursor=` until it is null. */
export const pageQuery = z.object({
  cursor: z.string().max(512).optional(),
  limit: z.coerce.number().int().min(1).max(LIMITS.pageSize).default(50),
});
export type PageQuery = z.infer<typeof pageQuery>;

export const page = <Item extends z.ZodType>(item: Item, id: string) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() }).meta({ id });

/** `?waitMs=`: wait for receipts of the change, at most this long. */
export const waitQuery = z.object({ waitMs: z.coerce.number().int().min(0).max(LIMITS.waitMs).optional() });

const why = { reason: text(LIMITS.reasonBytes).min(1) };

// --- environments

export const environmentDraft = z
  .strictObject({ key: environmentKey, name: text(LIMITS.nameBytes).default("") })
  .meta({ id: "EnvironmentDraft" });

export const environment = z
  .object({
    key: environmentKey,
    name: z.string(),
    createdAt: instant,
    archivedAt: instant.nullable(),
    position,
    checksum,
    flagCount: z.int(),
    /** Sessions with a socket, and pollers seen within their interval. */
    connectedInstances: z.int(),
  })
  .meta({ id: "Environment" });
export type Environment = z.infer<typeof environment>;

export const environmentPage = page(environment, "EnvironmentPage");

// --- flags

/** Creates a flag in every environment. What `environments` leaves out starts enabled, with everyone on the off variant. */
export const createFlagRequest = flagDraft
  .extend({ environments: z.record(environmentKey, initialConfiguration).default({}) })
  .meta({
    id: "CreateFlagRequest",
    example: { key: "redis-readthrough", description: "Reads sessions through Redis" },
  });
export type CreateFlagRequest = z.infer<typeof createFlagRequest>;

export const patchFlagRequest = flagPatch;

export const flagQuery = pageQuery.extend({
  /** Only flags with this tag. */
  tag: z.string().optional(),
  /** Only keys and descriptions that contain this. */
  search: z.string().max(LIMITS.nameBytes).optional(),
  archived: z.enum(["true", "false"]).default("false"),
});

export const flagPage = page(flag, "FlagPage");

/** A configuration with where it belongs and the position at which it was read or committed. */
export const configurationView = configuration
  .extend({ flag: flagKey, environment: environmentKey, updatedAt: instant, position })
  .meta({ id: "ConfigurationView" });
export type ConfigurationView = z.infer<typeof configurationView>;

export const configurationPage = page(configurationView, "ConfigurationPage");

/** A JSON merge patch (RFC 7396) of a configuration. A `serve` whose kind changes (variant, split) is replaced as a whole. */
export const patchConfigurationRequest = z
  .record(z.string(), json)
  .meta({ id: "ConfigurationPatch", example: { fallthrough: { split: { on: 25, off: 75 } } } });

/** A whole configuration. A view that was read may be sent back after an edit: where it belonged is ignored. */
export const putConfigurationRequest = configurationDraft
  .extend({
    flag: json.optional(),
    environment: json.optional(),
    updatedAt: json.optional(),
    position: json.optional(),
  })
  .meta({ id: "PutConfigurationRequest" });

// --- kill, restore, reshuffle, receipts

export const killRequest = z.strictObject(why).meta({ id: "KillRequest", example: { reason: "p99 at 4 s" } });
export const restoreRequest = z.strictObject(why).meta({ id: "RestoreRequest" });

/** Draws a new salt: every user is assigned anew. With `cohort`, takes or founds that cohort's salt. */
export const reshuffleRequest = z
  .strictObject({ ...why, cohort: text(LIMITS.nameBytes).min(1).nullable().default(null) })
  .meta({ id: "ReshuffleRequest" });

/** Kills every flag with the tag, or the flags named, in one transaction. Already killed ones are left alone. */
export const killManyRequest = z
  .union([
    z.strictObject({ tag: text(LIMITS.tagBytes).min(1), ...why }),
    z.strictObject({ flags: z.array(flagKey).min(1).max(1000), ...why }),
  ])
  .meta({ id: "KillManyRequest" });

export const pendingInstance = z.object({
  instance: z.string(),
  boot: z.string(),
  sdk: z.string(),
  connected: z.boolean(),
  /** Last revision it acknowledged. */
  acknowledged: revision,
  lastSeenAt: instant,
});
export type PendingInstance = z.infer<typeof pendingInstance>;

/** Proof for one revision: who applied it, and how long after the commit the server knew. */
export const receipt = z
  .object({
    environment: environmentKey,
    epoch,
    revision,
    committedAt: instant,
    /** Instances with a socket when the revision was committed. */
    connected: z.int(),
    /** Of `connected`, those that acknowledged this revision. */
    applied: z.int(),
    /** Of `connected`, those that have not. `pending` names the first of them. */
    pendingCount: z.int(),
    pending: z.array(pendingInstance).max(LIMITS.pageSize),
    /** Connected after the commit with an older position, and caught up or catching up. */
    late: z.int(),
    /** From commit to ack, less the time the client held the ack: an upper bound, in ms. Null before the first ack. */
    latencyMs: z.object({ p50: z.number(), p95: z.number(), p99: z.number(), max: z.number() }).nullable(),
    /** Everyone connected at the commit has applied it. */
    complete: z.boolean(),
  })
  .meta({ id: "Receipt" });
export type Receipt = z.infer<typeof receipt>;

/**
 * Answer to kill, restore and reshuffle. `receipt` is as of the answer; with `waitMs` after everyone applied, or the limit.
 * Null where it is no longer kept: in an answer that is repeated after a restart, or if nothing had to be changed.
 */
export const flagChange = z
  .object({
    environment: environmentKey,
    flags: z.array(flagKey),
    position,
    receipt: receipt.nullable(),
  })
  .meta({ id: "FlagChange" });
export type FlagChange = z.infer<typeof flagChange>;

export const instance = z
  .object({
    instance: z.string(),
    boot: z.string(),
    sdk: z.string(),
    transport: z.enum(["stream", "poll"]),
    connected: z.boolean(),
    acknowledged: revision,
    /** Head minus acknowledged. */
    backlog: z.int(),
    connectedAt: instant,
    lastSeenAt: instant,
    /** Id of its token. */
    token: z.string(),
    /** Flags that a local override forces there: its traffic on them is no evidence. */
    overridden: z.array(z.string()),
  })
  .meta({ id: "Instance" });
export type Instance = z.infer<typeof instance>;
export const instancePage = page(instance, "InstancePage");

// --- rollouts

/** A plan for a flag. It does nothing until somebody starts it. */
export const createRolloutRequest = rolloutPlan.meta({
  id: "CreateRolloutRequest",
  example: {
    canary: "on",
    control: "off",
    stages: [{ percent: 1 }, { percent: 25 }, { percent: 100 }],
    guardrails: [{ metric: "error_rate", max: 0.01, worseThanControl: true }],
  },
});

export const rolloutCommandRequest = z
  .strictObject({ comment: text(LIMITS.reasonBytes).default("") })
  .meta({ id: "RolloutCommandRequest", example: { comment: "Support agrees" } });

export const checklistRequest = z
  .strictObject({ item: text(LIMITS.nameBytes).min(1), ticked: z.boolean().default(true) })
  .meta({ id: "ChecklistRequest", example: { item: "Dashboards are imported" } });

export const rolloutQuery = pageQuery.extend({
  state: rolloutState.optional(),
  environment: environmentKey.optional(),
});

export const rolloutPage = page(rolloutView, "RolloutPage");

export const decisionQuery = pageQuery.extend({
  attempt: z.coerce.number().int().min(1).optional(),
  /** `changes`: only decisions that did something or said something new. */
  only: z.enum(["changes", "all"]).default("all"),
  /** `inputs`: with what each was made of, but for settled evidence, which `GET …/evidence` lists. */
  expand: z.enum(["inputs"]).optional(),
});

export const decisionDocumentQuery = z.object({
  /** `named`: without settled evidence, which may be gigabytes. `GET …/evidence` lists it in pages. */
  evidence: z.enum(["whole", "named"]).default("whole"),
});

export const decisionPage = page(listedDecision, "DecisionPage");

/**
 * Answer to a command. `receipt` says who has applied the change of the flag, as of the answer; null if the flag was not
 * changed, and in an answer that is repeated after a restart.
 */
export const rolloutChange = z
  .object({
    rollout: rolloutView,
    /** What the log says of this command; null for the checklist. */
    decision: decision.nullable(),
    position,
    receipt: receipt.nullable(),
  })
  .meta({ id: "RolloutChange" });
export type RolloutChange = z.infer<typeof rolloutChange>;

/** One stage of one attempt, as it was when it was left, or as it is. */
export const stageReport = z.object({
  attempt: z.int(),
  stage: z.int(),
  percent: z.number(),
  startedAt: instant,
  endedAt: instant.nullable(),
  /** How it was left; null while it is under way. */
  outcome: z.enum(["promoted", "completed", "rolled_back", "killed", "aborted"]).nullable(),
  bakedSeconds: z.number(),
  counts: decisionCounts,
  guardrails: z.array(guardrailVerdict),
  signatures: z.array(signature),
});
export type StageReport = z.infer<typeof stageReport>;

/** A rollback or kill by the controller, with how long each part of it took. */
export const incidentReport = z.object({
  decision: z.string(),
  attempt: z.int(),
  stage: z.int(),
  percent: z.number(),
  at: instant,
  /** What the rollback rested on. */
  guardrails: z.array(z.string()),
  because: z.string(),
  counts: decisionCounts,
  /** From the beginning of the failing stage to the first verdict of failure. */
  detectSeconds: z.number(),
  /** From that verdict to the change of the flag: `forSeconds`, or a person's time. */
  decideSeconds: z.number(),
  /** From the commit to the last acknowledgement of an instance; null where no receipt is kept. */
  applyMs: z.number().nullable(),
  /** Everyone connected had applied it. Null where no receipt is kept. */
  complete: z.boolean().nullable(),
  /** Decisions that served the canary in the failing stage. */
  exposureCount: z.int(),
  /** When the plan allows another start, as in `Tue 2025-08-19 14:00 Europe/Paris`; null: never, or at any time. */
  nextOpening: z.string().nullable(),
});
export type IncidentReport = z.infer<typeof incidentReport>;

/** The deployment report: what was planned, what happened, who agreed. */
export const rolloutReport = z
  .object({
    rollout: rolloutView,
    generatedAt: instant,
    stages: z.array(stageReport),
    incidents: z.array(incidentReport),
    /** Oldest first; what only repeated the look before is left out. */
    decisions: z.array(decision),
    /** Decisions that this report leaves out because there are too many: the oldest. */
    omittedDecisionCount: z.int(),
  })
  .meta({ id: "RolloutReport" });
export type RolloutReport = z.infer<typeof rolloutReport>;

export const reportQuery = z.object({ format: z.enum(["json", "md"]).optional() });

// --- segments

export const segmentPage = page(segment, "SegmentPage");
/** A whole segment. One that was read may be sent back after an edit: its key is ignored. */
export const putSegmentRequest = segmentDraft.extend({ key: json.optional() }).meta({ id: "PutSegmentRequest" });

// --- evaluation

export const evaluateRequest = z
  .strictObject({
    context,
    /** All flags, if left out. */
    flags: z.array(flagKey).min(1).max(LIMITS.pageSize).optional(),
  })
  .meta({ id: "EvaluateRequest", example: { context: { key: "u-1", country: "FR" }, flags: ["redis-readthrough"] } });

export const evaluateResponse = z
  .object({
    position,
    flags: z.record(flagKey, evaluationResult.extend({ trace: z.array(traceStep) })),
  })
  .meta({ id: "EvaluateResponse" });
export type EvaluateResponse = z.infer<typeof evaluateResponse>;

// --- tokens

export { createdToken as createTokenResponse, tokenDraft as createTokenRequest };
export const tokenPage = page(token, "TokenPage");
/** The caller's own token: what it is and may see. */
export const selfResponse = z
  .object({
    id: z.string(),
    kind: tokenKind,
    name: z.string(),
    environments: z.array(environmentKey).nullable(),
    roles: z.array(z.string()),
  })
  .meta({ id: "Self" });

// --- audit and export

export const auditEntry = z
  .object({
    /** 1, 2, 3 … without a hole. */
    number: z.int(),
    at: instant,
    actor: z.object({ token: z.string(), kind: z.string(), name: z.string() }),
    action: z.string(),
    object: z.object({
      kind: z.enum(["flag", "configuration", "segment", "environment", "token", "rollout", "webhook", "database"]),
      key: z.string(),
      environment: z.string().nullable(),
    }),
    before: json,
    after: json,
    /** The revision each touched environment reached by this change. */
    revisions: z.record(z.string(), revision),
    reason: z.string().nullable(),
    requestId: z.string(),
    previousHash: z.string(),
    /** SHA-256 over `previousHash` and the entry as canonical JSON (RFC 8785), hex. */
    hash: z.string(),
  })
  .meta({ id: "AuditEntry" });
export type AuditEntry = z.infer<typeof auditEntry>;

export const auditPage = page(auditEntry, "AuditPage");
export const auditQuery = pageQuery.extend({
  flag: z.string().optional(),
  environment: z.string().optional(),
  action: z.string().optional(),
});

/** Newest first is the order of the list; verification walks it oldest first. */
export const auditVerification = z
  .object({
    entries: z.int(),
    /** Hash of the newest entry: keep it outside the database to notice a rewritten whole. */
    head: z.string(),
    intact: z.boolean(),
    /** First entry whose hash, number or predecessor does not fit. */
    brokenAt: z.int().nullable(),
    /** Stored documents whose checksum does not fit. */
    damagedRows: z.array(z.object({ table: z.string(), key: z.string() })),
  })
  .meta({ id: "AuditVerification" });
export type AuditVerification = z.infer<typeof auditVerification>;

/** Verification as it goes on: how many of the audit's entries are done, again and again, and the result at the end. */
export const auditVerificationLine = z.union([
  z.object({ progress: z.object({ checked: z.int(), entries: z.int() }) }),
  z.object({ result: auditVerification }),
]);
export type AuditVerificationLine = z.infer<typeof auditVerificationLine>;

/** Everything a person configured, without secrets, in a stable order. */
export const exportResponse = z
  .object({
    format: z.literal(1),
    exportedAt: instant,
    epoch,
    environments: z.array(z.object({ key: environmentKey, name: z.string(), revision, checksum })),
    flags: z.array(flag),
    segments: z.array(z.object({ key: segmentKey, description: z.string(), when: z.array(attributeCondition) })),
    configurations: z.array(configuration.extend({ flag: flagKey, environment: environmentKey })),
    rollouts: z.array(rollout),
  })
  .meta({ id: "Export" });
export type Export = z.infer<typeof exportResponse>;

/** How often each variant of a flag was served, summed over the SDKs that report. */
export const exposuresResponse = z
  .object({
    flag: flagKey,
    environment: environmentKey,
    sinceMs: z.int(),
    variants: z.record(z.string(), z.int()),
  })
  .meta({ id: "Exposures" });
export type Exposures = z.infer<typeof exposuresResponse>;
