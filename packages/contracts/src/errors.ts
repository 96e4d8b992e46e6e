/**
 * Every error a caller can meet, with a code that never changes its meaning. A problem document (RFC 9457) carries the code
 * as `code` and links to `docs/reference/errors.md`, which is generated from this table. On the stream the same codes stand
 * in `error` messages and, shortened to the code, in close reasons.
 */
export interface ErrorDefinition {
  /** HTTP status of a refusal with this code. */
  readonly status: number;
  /** Close code, where the error can end a stream. */
  readonly close?: number;
  /** What happened, in one sentence. */
  readonly meaning: string;
  /** When this is nothing to worry about. */
  readonly normal: string;
  /** What the caller does about it. */
  readonly remedy: string;
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean;
}

const define = <const Table extends Record<string, ErrorDefinition>>(table: Table): Table => table;

export const ERRORS = define({
  // --- the request itself
  invalid_json: {
    status: 400,
    meaning: "The body is not JSON as RFC 8259 defines it, in UTF-8.",
    normal: "Never, from a program.",
    remedy: "Send one JSON value; the detail names the byte where reading stopped.",
    retryable: false,
  },
  invalid_request: {
    status: 400,
    meaning: "The body, the path or the query does not fit the schema.",
    normal: "While somebody writes a client.",
    remedy: "Mend the fields that `errors` names.",
    retryable: false,
  },
  unsupported_media_type: {
    status: 415,
    meaning: "The content type or the content encoding is not one this route reads.",
    normal: "Never.",
    remedy: "Send application/json (PATCH also takes application/merge-patch+json), not compressed.",
    retryable: false,
  },
  body_too_large: {
    status: 413,
    meaning: "The body is larger than this route accepts.",
    normal: "Never.",
    remedy: "Send less; the detail names the limit in bytes.",
    retryable: false,
  },
  headers_too_large: {
    status: 431,
    meaning: "The request line and headers exceed 16 KiB, or there are more than 64 headers.",
    normal: "Never.",
    remedy: "Send fewer headers, above all fewer cookies.",
    retryable: false,
  },
  request_timeout: {
    status: 408,
    meaning: "The request did not arrive in time: 10 s for its headers, 30 s for all of it.",
    normal: "On a network that fails.",
    remedy: "Send it again, in one go.",
    retryable: true,
  },
  limit_exceeded: {
    status: 422,
    meaning: "The change would exceed a documented limit.",
    normal: "In an environment that has grown for years.",
    remedy: "Archive what is no longer used; the detail names the limit.",
    retryable: false,
  },
  not_found: {
    status: 404,
    meaning: "There is nothing at this path, or nothing that this token may see.",
    normal: "After a typing error.",
    remedy: "Check the path, and the environments of the token.",
    retryable: false,
  },
  method_not_allowed: {
    status: 405,
    meaning: "This path does not take this method.",
    normal: "Never.",
    remedy: "Look the route up in /openapi.json.",
    retryable: false,
  },

  // --- who asks
  unauthenticated: {
    status: 401,
    close: 4401,
    meaning: "The token is missing, malformed, unknown, expired or revoked. Which of these is not said.",
    normal: "For a moment after a token was rotated.",
    remedy: "Send `Authorization: Bearer <token>` with a live token.",
    retryable: false,
  },
  forbidden: {
    status: 403,
    meaning: "The token is valid, but its kind or its environments do not allow this.",
    normal: "When a viewer tries to write.",
    remedy: "Use a token of the kind that the detail names.",
    retryable: false,
  },
  too_many_failures: {
    status: 429,
    meaning: "Too many failed authentications from this address or with this token.",
    normal: "When a service restarts in a loop with an old token.",
    remedy: "Mend the token, then wait for `Retry-After`.",
    retryable: true,
  },

  // --- concurrency and idempotency
  version_mismatch: {
    status: 412,
    meaning: "Somebody changed the resource since you read it: `If-Match` names another version.",
    normal: "When two people edit one flag.",
    remedy: "Read it again, decide again, send the new ETag.",
    retryable: false,
  },
  precondition_required: {
    status: 428,
    meaning: "This write replaces a whole document and therefore needs `If-Match`.",
    normal: "Never.",
    remedy: "Read the resource and send its ETag in `If-Match`.",
    retryable: false,
  },
  idempotency_key_reused: {
    status: 409,
    meaning: "The `Idempotency-Key` was used within 24 hours for a different request.",
    normal: "Never.",
    remedy: "Take a new key for a new request.",
    retryable: false,
  },

  // --- flags, configurations, segments, environments
  flag_not_found: {
    status: 404,
    meaning: "No flag has this key.",
    normal: "After a typing error.",
    remedy: "`bunting flag list` shows the keys.",
    retryable: false,
  },
  flag_exists: {
    status: 409,
    meaning: "The key is taken, by a living flag or by an archived one: keys are never reused.",
    normal: "When a creation is repeated without an Idempotency-Key.",
    remedy: "Choose another key.",
    retryable: false,
  },
  flag_archived: {
    status: 409,
    meaning: "The flag is archived and takes no changes.",
    normal: "In old scripts.",
    remedy: "Create a flag with a new key.",
    retryable: false,
  },
  flag_in_use: {
    status: 409,
    meaning: "Other flags have this flag as a prerequisite.",
    normal: "While a flag is being removed.",
    remedy: "Remove the prerequisites that the detail names first.",
    retryable: false,
  },
  variant_in_use: {
    status: 409,
    meaning: "A configuration still serves, pins or requires this variant.",
    normal: "While a variant is being removed.",
    remedy: "Take it out of the configurations that the detail names first.",
    retryable: false,
  },
  variant_unknown: {
    status: 422,
    meaning: "A configuration names a variant that the flag does not have.",
    normal: "After a typing error.",
    remedy: "Use a variant of the flag, or add it to the flag first.",
    retryable: false,
  },
  variant_value_immutable: {
    status: 409,
    meaning: "A variant's value never changes, not even after the variant was removed.",
    normal: "Never.",
    remedy: "Add a variant with a new key and move the percentages to it.",
    retryable: false,
  },
  variant_type_mismatch: {
    status: 422,
    meaning: "A variant's value is not of the flag's type.",
    normal: "Never.",
    remedy: "Give the value the flag's type, or create a flag of another type.",
    retryable: false,
  },
  field_immutable: {
    status: 422,
    meaning: "The field is changed by a command of its own, not by editing.",
    normal: "Never.",
    remedy: "Use kill, restore or reshuffle, or send the field back as you read it.",
    retryable: false,
  },
  prerequisite_invalid: {
    status: 422,
    meaning: "A prerequisite names a flag or a variant that does not exist, or the flag itself.",
    normal: "After a typing error.",
    remedy: "Name a living flag and variants that it has.",
    retryable: false,
  },
  prerequisite_cycle: {
    status: 422,
    meaning: "The prerequisites would form a circle, or a chain of more than ten.",
    normal: "Never.",
    remedy: "Break the circle that the detail shows.",
    retryable: false,
  },
  condition_invalid: {
    status: 422,
    meaning: "A condition can never be judged: wrong value for the operator, bad pattern, bad range, bad version.",
    normal: "After a typing error.",
    remedy: "Mend the condition that `errors` names. Patterns are RE2: no look-around, no back-references.",
    retryable: false,
  },
  segment_not_found: {
    status: 404,
    meaning: "No segment has this key.",
    normal: "After a typing error.",
    remedy: "`bunting segment list` shows the keys.",
    retryable: false,
  },
  segment_unknown: {
    status: 422,
    meaning: "A rule refers to a segment that does not exist.",
    normal: "After a typing error.",
    remedy: "Create the segment first.",
    retryable: false,
  },
  segment_in_use: {
    status: 409,
    meaning: "Rules still refer to this segment.",
    normal: "While a segment is being removed.",
    remedy: "Remove the rules that the detail names first.",
    retryable: false,
  },
  environment_not_found: {
    status: 404,
    meaning: "No environment has this key, or the token does not cover it.",
    normal: "After a typing error.",
    remedy: "`bunting env list` shows the keys.",
    retryable: false,
  },
  environment_exists: {
    status: 409,
    meaning: "An environment with this key exists.",
    normal: "When a creation is repeated without an Idempotency-Key.",
    remedy: "Choose another key.",
    retryable: false,
  },
  flag_killed: {
    status: 409,
    meaning: "The flag is killed in this environment already.",
    normal: "When two people kill one flag.",
    remedy: "Nothing: it serves its off variant. `bunting restore` undoes the kill.",
    retryable: false,
  },
  flag_not_killed: {
    status: 409,
    meaning: "The flag is not killed in this environment.",
    normal: "When two people restore one flag.",
    remedy: "Nothing: it serves what is configured. `bunting flag show` says what that is.",
    retryable: false,
  },
  kill_matches_nothing: {
    status: 422,
    meaning: "No living flag has the tag or the keys that were named.",
    normal: "After a typing error.",
    remedy: "Check the tag or the keys.",
    retryable: false,
  },
  receipt_expired: {
    status: 404,
    meaning: "The receipt of this revision is no longer kept, or the revision does not exist.",
    normal: "For the last 256 revisions receipts are kept, and only while the process lives.",
    remedy: "Ask sooner, or wait with `?waitMs=` on the change itself.",
    retryable: false,
  },
  token_not_found: {
    status: 404,
    meaning: "No token has this id.",
    normal: "After a typing error.",
    remedy: "`bunting token list` shows the ids.",
    retryable: false,
  },
  token_scope_invalid: {
    status: 422,
    meaning:
      "The token would have no environment, several where one is needed, or more rights than the one that creates it.",
    normal: "Never.",
    remedy: "Server and client tokens take exactly one environment; stay within your own.",
    retryable: false,
  },
  last_admin_token: {
    status: 409,
    meaning:
      "This is the only living admin token that covers every environment: without it nobody could create another.",
    normal: "When the token of the first start is retired.",
    remedy: "Create another admin token first, and revoke this one with that.",
    retryable: false,
  },
  secret_shown_once: {
    status: 409,
    meaning: "This Idempotency-Key already created what the detail names, and a secret is shown only once.",
    normal: "When the answer to a creation was lost on the way.",
    remedy: "Revoke or delete what the detail names, and create another.",
    retryable: false,
  },

  // --- rollouts
  rollout_not_found: {
    status: 404,
    meaning: "No rollout has this id, or the token does not cover its environment.",
    normal: "After a typing error.",
    remedy: "`bunting rollout list` shows the ids.",
    retryable: false,
  },
  decision_not_found: {
    status: 404,
    meaning:
      "The rollout has no decision with this id, or no longer: of looks that changed nothing only the latest are kept.",
    normal: "After a typing error, or long after a long rollout.",
    remedy: "`GET /api/v1/rollouts/{rollout}/decisions` lists those that are kept.",
    retryable: false,
  },
  rollout_exists: {
    status: 409,
    meaning: "The flag has a rollout in this environment that has not ended.",
    normal: "When two people release one flag.",
    remedy: "Let the rollout that the detail names end, or abort it.",
    retryable: false,
  },
  rollout_plan_invalid: {
    status: 422,
    meaning: "The plan fits the schema, but can never be carried out as it stands.",
    normal: "While somebody writes a plan.",
    remedy: "Mend the fields that `errors` names.",
    retryable: false,
  },
  rollout_scope_unknown: {
    status: 422,
    meaning: "The plan's scope names a rule that the configuration does not have.",
    normal: "After a typing error, or when the rule was removed.",
    remedy: "Name a rule of the configuration, or take the fallthrough.",
    retryable: false,
  },
  rollout_canary_has_share: {
    status: 409,
    meaning: "The scope serves the canary already, so nothing would be proven by giving it a share.",
    normal: "When somebody raised the canary by hand.",
    remedy: "Set the canary's share in the scope to 0, then start the rollout.",
    retryable: false,
  },
  rollout_control_has_no_share: {
    status: 409,
    meaning: "The scope does not serve the control, so there is nothing to compare with and to return to.",
    normal: "After a typing error.",
    remedy: "Name as control a variant that the scope serves, or give it a share first.",
    retryable: false,
  },
  rollout_not_live: {
    status: 409,
    meaning: "The rollout has not been started, or its attempt has ended, so there is nothing to be done to it.",
    normal: "When two people act on one rollout.",
    remedy: "`start` begins a pending rollout, `retry` a new attempt of one that was rolled back or aborted.",
    retryable: false,
  },
  rollout_at_last_stage: {
    status: 409,
    meaning: "The rollout is at its last stage: it completes by itself, and there is nothing to promote it to.",
    normal: "When somebody promotes once too often.",
    remedy: "Wait for the last bake to end.",
    retryable: false,
  },
  transition_not_allowed: {
    status: 409,
    meaning: "The rollout's state does not take this command.",
    normal: "When two people act on one rollout.",
    remedy: "The detail names the state and what it takes.",
    retryable: false,
  },
  rollout_flag_killed: {
    status: 409,
    meaning: "The flag is killed, and no rollout gives traffic to a killed flag.",
    normal: "During an incident.",
    remedy: "Restore the flag first.",
    retryable: false,
  },
  rollout_flag_changed: {
    status: 409,
    meaning:
      "Somebody changed the flag's configuration since the rollout wrote it, so its evidence is of something else.",
    normal: "When somebody edits a flag that is being rolled out.",
    remedy:
      "Abort the rollout if it has not stood down yet, then `retry`: a new attempt on the configuration as it is now.",
    retryable: false,
  },
  checklist_incomplete: {
    status: 409,
    meaning: "Items of the plan's checklist are not ticked.",
    normal: "Before every start.",
    remedy: "Tick the items that the detail names, then start.",
    retryable: false,
  },
  outside_release_window: {
    status: 409,
    meaning: "No release window of the plan is open, or a freeze is on.",
    normal: "Outside the hours that the plan allows.",
    remedy: "Wait for the next opening, which the detail names. Rollback and kill are never held up.",
    retryable: true,
  },
  approval_missing: {
    status: 409,
    meaning: "The stage is left only with an approval, and that has not been given, or was refused.",
    normal: "At every gate, until it is signed.",
    remedy: "Have the people or roles that the detail names sign with `approve`.",
    retryable: true,
  },
  approval_not_asked: {
    status: 409,
    meaning: "The current stage asks for no approval.",
    normal: "When a rollout has moved on meanwhile.",
    remedy: "Sign nothing here: the stage is left on evidence, by itself or with `promote`, as the plan says.",
    retryable: false,
  },
  approval_role_missing: {
    status: 403,
    meaning: "The approval names roles, and this token has none of them.",
    normal: "When somebody signs for a colleague.",
    remedy: "Have a holder of one of the roles sign that the detail names.",
    retryable: false,
  },
  comment_required: {
    status: 422,
    meaning: "This command is answered for by name, and takes a comment that says why.",
    normal: "When somebody promotes against the evidence, or rejects.",
    remedy: "Send a `comment`.",
    retryable: false,
  },

  // --- webhooks
  webhook_not_found: {
    status: 404,
    meaning: "No webhook has this name, or the token does not cover its environments.",
    normal: "After a typing error.",
    remedy: "`GET /api/v1/webhooks` shows the names.",
    retryable: false,
  },
  webhook_exists: {
    status: 409,
    meaning: "A webhook has this name already.",
    normal: "When a creation is repeated without an Idempotency-Key.",
    remedy: "Choose another name, or delete the webhook first.",
    retryable: false,
  },
  webhook_scope_invalid: {
    status: 422,
    meaning: "The webhook would listen to an environment that is archived, unknown, or not covered by this token.",
    normal: "When an environment was retired.",
    remedy: "Name living environments of the token, as the detail says.",
    retryable: false,
  },
  webhook_unknown: {
    status: 422,
    meaning: "A plan tells a webhook that does not exist, or that is not told of this environment.",
    normal: "After a typing error, or when a plan comes from another server.",
    remedy: "Use one of the names in the detail, or create the webhook first.",
    retryable: false,
  },
  webhook_disabled: {
    status: 409,
    meaning: "The webhook is disabled, so it is told nothing.",
    normal: "While somebody mends its receiver.",
    remedy: "Enable it first: `PATCH` with `enabled: true`.",
    retryable: false,
  },
  delivery_not_found: {
    status: 404,
    meaning:
      "The webhook has no such delivery, or no longer: those that ended are kept until there are a thousand of them.",
    normal: "Long after it was made.",
    remedy: "`GET /api/v1/webhooks/{webhook}/deliveries` shows what there is.",
    retryable: false,
  },
  delivery_not_dead: {
    status: 409,
    meaning: "The delivery still waits, or was received: only one that was given up is delivered again.",
    normal: "When two people do it at once.",
    remedy: "Look at its state; one that waits is tried by itself.",
    retryable: false,
  },
  webhook_tested_recently: {
    status: 429,
    meaning: "This webhook was tested less than ten seconds ago.",
    normal: "When somebody is impatient.",
    remedy: "Look at its deliveries, then try again.",
    retryable: true,
  },
  outgoing_address_refused: {
    status: 422,
    meaning: "The server makes no requests to such an address: not https, not public, or with a password in it.",
    normal: "When a receiver inside the own network was not allowed yet.",
    remedy: "Take an https address, or have the operator list its host and port in BUNTING_OUTGOING_ALLOW.",
    retryable: false,
  },

  // --- the server
  storage_unknown_outcome: {
    status: 503,
    meaning: "The disk failed while the change was written: it may or may not be stored.",
    normal: "Never.",
    remedy: "Retry with the same Idempotency-Key once `/readyz` answers 200.",
    retryable: true,
  },
  storage_read_only: {
    status: 503,
    meaning: "The server met an I/O error or corrupt data and takes no writes until it is restarted.",
    normal: "Never.",
    remedy: "See the log and `docs/operating/`; evaluations and streams go on.",
    retryable: true,
  },
  storage_full: {
    status: 507,
    meaning: "The disk is full. Only kill, restore, the end of a rollout and the revocation of tokens are accepted.",
    normal: "Never.",
    remedy: "Free space on the volume of BUNTING_DATA_DIR.",
    retryable: true,
  },
  backup_running: {
    status: 409,
    meaning: "A backup is being made, and there is only one at a time.",
    normal: "When two schedules meet, or when the answer to the first request was lost on the way.",
    remedy: "Wait until it is done, then ask again.",
    retryable: true,
  },
  backup_not_found: {
    status: 404,
    meaning: "The server keeps no backup with this name: only the newest few are kept.",
    normal: "After a typing error, or some backups later.",
    remedy: "Make another one, and download it at once.",
    retryable: false,
  },
  backup_failed: {
    status: 500,
    meaning: "The copy could not be written, or did not verify. Nothing of it is kept; the database itself goes on.",
    normal: "When the server is stopped meanwhile.",
    remedy: "Look into the log; `bunting audit verify` says whether the database itself is sound.",
    retryable: true,
  },
  too_many_streams: {
    status: 429,
    meaning: "The token or the process holds as many streams as it may.",
    normal: "Never.",
    remedy: "Spread instances over several servers.",
    retryable: true,
  },
  overloaded: {
    status: 503,
    close: 4503,
    meaning: "The server sheds load: its event loop lags.",
    normal: "For seconds after thousands of clients reconnect at once.",
    remedy: "Retry after `Retry-After`.",
    retryable: true,
  },
  draining: {
    status: 503,
    close: 1012,
    meaning: "The server is shutting down.",
    normal: "During every deployment of the server.",
    remedy: "Retry after `Retry-After`; another process takes over.",
    retryable: true,
  },
  internal: {
    status: 500,
    close: 4500,
    meaning: "A defect of the server.",
    normal: "Never.",
    remedy: "Report it with the request id.",
    retryable: true,
  },

  // --- the stream
  upgrade_required: {
    status: 426,
    meaning: "None of the offered subprotocols is known here.",
    normal: "When an SDK is newer than its server.",
    remedy: "Upgrade the server first.",
    retryable: false,
  },
  message_malformed: {
    status: 400,
    close: 4400,
    meaning: "A message on the stream did not parse. It was ignored; twenty of them end the connection.",
    normal: "Never.",
    remedy: "Fix the client.",
    retryable: true,
  },
  message_rate: {
    status: 429,
    close: 4429,
    meaning: "The client sends more than 50 messages a second.",
    normal: "Never.",
    remedy: "Fix the client.",
    retryable: true,
  },
  session_replaced: {
    status: 409,
    close: 4409,
    meaning: "A newer connection continues this session.",
    normal: "At every move to a new connection.",
    remedy: "Nothing, if the newer connection is yours; else give each process its own BUNTING instance name.",
    retryable: false,
  },
  environment_archived: {
    status: 403,
    close: 4403,
    meaning: "The environment of this token is archived.",
    normal: "When an environment is retired.",
    remedy: "Move the application to a living environment.",
    retryable: false,
  },
  slow_consumer: {
    status: 503,
    close: 4508,
    meaning: "The client does not read what it is sent.",
    normal: "For a process that is suspended.",
    remedy: "The client reconnects and resumes by itself.",
    retryable: true,
  },
  history_rewritten: {
    status: 409,
    close: 4510,
    meaning: "The database was restored: a new epoch began.",
    normal: "After a restore.",
    remedy: "The client reconnects and takes a snapshot by itself.",
    retryable: true,
  },
  position_ahead: {
    status: 503,
    meaning:
      "The client holds a revision of this epoch that this server does not have, and a new epoch cannot begin yet.",
    normal: "For a minute, while a server was restored twice.",
    remedy: "The client keeps its state and retries after `Retry-After`.",
    retryable: true,
  },
  no_sign_of_life: {
    status: 408,
    close: 4512,
    meaning: "No ack answered the last heartbeats.",
    normal: "For a process that is suspended, or a dead network.",
    remedy: "The client reconnects and resumes by itself.",
    retryable: true,
  },
  telemetry_too_old: {
    status: 409,
    meaning: "The batch belongs to a boot the server no longer knows and is older than an hour.",
    normal: "After an outage of more than a week.",
    remedy: "Nothing: the SDK drops the batch and counts it.",
    retryable: false,
  },
});

export type ErrorCode = keyof typeof ERRORS;
