import type {
  AuditEntry,
  DecisionRecord,
  EnvironmentKey,
  Flag,
  FlagKey,
  Segment,
  SegmentKey,
} from "@bunting/contracts";
import type { Announcement } from "../notifications/notification.ts";
import type { WebhookFacts } from "../webhooks/commands.ts";
import type { StoredWebhook } from "../webhooks/stored-webhook.ts";
import type { Actor, Refusal } from "./command.ts";
import type { ClosingEvent } from "./ledger.ts";
import type { State, StoredConfiguration, StoredRollout, StoredToken } from "./state.ts";

/** One document after a command. There is no edit that removes a flag, an environment or a token: they are marked instead. */
export type Edit =
  | { readonly kind: "environment"; readonly key: EnvironmentKey; readonly after: EnvironmentFacts }
  | { readonly kind: "flag"; readonly key: FlagKey; readonly after: Flag }
  | {
      readonly kind: "configuration";
      readonly environment: EnvironmentKey;
      readonly flag: FlagKey;
      readonly after: StoredConfiguration;
    }
  | { readonly kind: "segment"; readonly key: SegmentKey; readonly after: Segment | null }
  | { readonly kind: "token"; readonly id: string; readonly after: StoredToken }
  | { readonly kind: "webhook"; readonly id: string; readonly after: StoredWebhook | null }
  /** Waits again, as if it had never been tried. Deliveries are no part of the state. */
  | { readonly kind: "delivery"; readonly webhook: string; readonly id: string }
  | { readonly kind: "rollout"; readonly id: string; readonly after: StoredRollout }
  /** Added to the log of its rollout, which is no part of the state. */
  | { readonly kind: "decision"; readonly entry: DecisionEntry; readonly dropHoldsUpTo: number };

/** One entry of a rollout's decision log. */
export interface DecisionEntry {
  /** Within the rollout: 1, 2, 3 … */
  readonly number: number;
  /** It did something, or said something new. The others are dropped when there are too many. */
  readonly changes: boolean;
  readonly record: DecisionRecord;
}

/** What a person decides of an environment; its revision and checksum follow from the rest. */
export interface EnvironmentFacts {
  readonly name: string;
  readonly createdAt: string;
  readonly archivedAt: string | null;
}

/** What the audit will say of one document; who, when and at which revision are added at the commit. */
export interface AuditDraft {
  readonly action: string;
  readonly object: AuditEntry["object"];
  readonly before: unknown;
  readonly after: unknown;
  readonly reason: string | null;
}

/** A command that may be carried out. Without edits and audit it changes nothing. */
export interface Decision {
  readonly ok: true;
  readonly edits: readonly Edit[];
  readonly audit: readonly AuditDraft[];
  /** The command was a kill and nothing else. */
  readonly kill?: { readonly environment: EnvironmentKey; readonly flags: readonly FlagKey[] };
  readonly closing?: ClosingEvent;
  /** What people are told of it. */
  readonly announcements?: readonly Announcement[];
  readonly secret?: string;
}

export type Decided = Decision | { readonly ok: false; readonly refusal: Refusal };

/** Everything a decision may depend on. Decisions are pure: time and randomness are handed in. */
export interface Situation {
  readonly state: State;
  readonly actor: Actor;
  /** RFC 3339. */
  readonly now: string;
  /** A fresh random 32-bit number at each call. */
  readonly newSalt: () => number;
  /** Of the JavaScript engine: logarithms are not bit-identical across them. */
  readonly engine: string;
  /** A fresh token of this kind at each call. */
  readonly newToken: (kind: StoredToken["kind"]) => NewToken;
  readonly webhooks: WebhookFacts;
}

export interface NewToken {
  readonly id: string;
  /** The whole text, shown once. */
  readonly text: string;
  readonly digest: Uint8Array;
}

export const NOTHING: Decision = { ok: true, edits: [], audit: [] };

export function refuse(code: Refusal["code"], detail: string, errors?: Refusal["errors"]) {
  return { ok: false, refusal: errors ? { code, detail, errors } : { code, detail } } as const;
}
