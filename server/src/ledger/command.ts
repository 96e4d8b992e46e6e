import type {
  AuditEntry,
  ConfigurationDraft,
  CreateFlagRequest,
  EnvironmentKey,
  ErrorCode,
  FlagKey,
  FlagPatch,
  RolloutCommand,
  RolloutPlan,
  RotateWebhookRequest,
  SegmentDraft,
  SegmentKey,
  TokenDraft,
  TokenKind,
  WebhookDraft,
  WebhookPatch,
} from "@bunting/contracts";
import type { Ruling } from "@bunting/gating";
import type { Commit, State } from "./state.ts";

/** Who asks. Made by the authenticator from a live token, and by the server itself for the first run. */
export interface Actor {
  /** Token id, or `system`. */
  readonly token: string;
  readonly kind: TokenKind | "system";
  readonly name: string;
  /** `null`: all. */
  readonly environments: readonly EnvironmentKey[] | null;
  /** What the actor may sign for. */
  readonly roles: readonly string[];
  /** Request id for the log and the audit. */
  readonly requestId: string;
}

/** A version the caller has read (`If-Match`), or null where it did not say. */
type Expected = { readonly ifVersion: number | null };

/** Everything that changes what the server knows. Parsed at the edge; decided by the pure functions of each slice. */
export type Command =
  | { readonly type: "create_environment"; readonly key: EnvironmentKey; readonly name: string }
  | { readonly type: "archive_environment"; readonly environment: EnvironmentKey }
  | { readonly type: "create_flag"; readonly draft: CreateFlagRequest }
  | ({ readonly type: "patch_flag"; readonly flag: FlagKey; readonly patch: FlagPatch } & Expected)
  | ({ readonly type: "archive_flag"; readonly flag: FlagKey } & Expected)
  | ({
      readonly type: "put_configuration";
      readonly environment: EnvironmentKey;
      readonly flag: FlagKey;
      readonly draft: ConfigurationDraft;
    } & Expected)
  | ({
      readonly type: "patch_configuration";
      readonly environment: EnvironmentKey;
      readonly flag: FlagKey;
      /** A JSON merge patch, not validated yet: the merged document is. */
      readonly patch: Readonly<Record<string, unknown>>;
    } & Expected)
  | {
      readonly type: "kill";
      readonly environment: EnvironmentKey;
      readonly target: { readonly flags: readonly FlagKey[] } | { readonly tag: string };
      readonly reason: string;
    }
  | {
      readonly type: "restore";
      readonly environment: EnvironmentKey;
      readonly flag: FlagKey;
      readonly reason: string;
    }
  | {
      readonly type: "reshuffle";
      readonly environment: EnvironmentKey;
      readonly flag: FlagKey;
      readonly reason: string;
      readonly cohort: string | null;
    }
  | ({ readonly type: "put_segment"; readonly segment: SegmentKey; readonly draft: SegmentDraft } & Expected)
  | ({ readonly type: "delete_segment"; readonly segment: SegmentKey } & Expected)
  | {
      readonly type: "create_rollout";
      readonly environment: EnvironmentKey;
      readonly flag: FlagKey;
      readonly plan: RolloutPlan;
    }
  | ({
      readonly type: "rollout_command";
      /** The rollout's: a caller who names another one does not find it. */
      readonly environment: EnvironmentKey;
      readonly rollout: string;
      readonly command: RolloutCommand;
      readonly comment: string;
    } & Expected)
  | ({
      readonly type: "tick_checklist";
      readonly environment: EnvironmentKey;
      readonly rollout: string;
      readonly item: string;
      readonly ticked: boolean;
    } & Expected)
  /** What the controller decided of what it looked at; refused if that has moved on meanwhile. */
  | {
      readonly type: "rollout_step";
      readonly environment: EnvironmentKey;
      readonly rollout: string;
      readonly basedOn: { readonly rollout: number; readonly configuration: number };
      readonly ruling: Ruling;
      /** Everything the ruling was made of, to be kept with it. */
      readonly inputs: unknown;
    }
  | { readonly type: "create_token"; readonly draft: TokenDraft }
  | { readonly type: "revoke_token"; readonly id: string }
  | { readonly type: "create_webhook"; readonly draft: WebhookDraft }
  | { readonly type: "rotate_webhook"; readonly name: string; readonly draft: RotateWebhookRequest }
  | { readonly type: "patch_webhook"; readonly name: string; readonly patch: WebhookPatch }
  | { readonly type: "test_webhook"; readonly name: string }
  /** `delivery` is one that was given up: whoever asks has looked, in the same turn of the event loop. */
  | { readonly type: "redeliver"; readonly name: string; readonly delivery: string }
  | { readonly type: "delete_webhook"; readonly name: string }
  /** Changes nothing but the audit: whoever takes everything away with him is written down first. */
  | { readonly type: "back_up"; readonly name: string };

/** Why a command was not carried out: an expected outcome, not an exception. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

export interface Accepted {
  readonly ok: true;
  /** The state that this command made. */
  readonly state: State;
  /** One per environment whose ruleset changed; empty where none did. */
  readonly commits: readonly Commit[];
  readonly audit: readonly AuditEntry[];
  /** The text of a created token or webhook secret: it is shown now or never. */
  readonly secret?: string;
  /** Set when this is the stored answer to an earlier request with the same Idempotency-Key. */
  readonly replayed?: StoredResponse;
}

export type Outcome = Accepted | { readonly ok: false; readonly refusal: Refusal };

export interface StoredResponse {
  readonly status: number;
  /** JSON text. */
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Makes a POST repeatable. The key, the digest of the request and the answer are stored in the transaction of the change, so
 * that a crash between commit and reply changes nothing.
 */
export interface Idempotency {
  /** Scoped to the actor's token. */
  readonly key: string;
  /** SHA-256 of method, path and body, hex. */
  readonly digest: string;
  /** Called inside the transaction with what the command made. Must be pure. Secrets must not be in it. */
  respond(accepted: Accepted): StoredResponse;
}
