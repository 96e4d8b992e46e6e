import type { DecisionRecord, EnvironmentKey, Flag, FlagKey, Segment } from "@bunting/contracts";
import type { PendingCommit } from "../../ledger/apply.ts";
import type { EnvironmentFacts } from "../../ledger/decision.ts";
import type { Commit, EnvironmentState, StoredConfiguration, StoredRollout, StoredToken } from "../../ledger/state.ts";
import type { StoredWebhook } from "../../webhooks/stored-webhook.ts";

/*
 * Documents as text and back. Reading trusts the shape: whoever calls has compared the checksum, and only this file writes.
 */

export interface StoredEnvironment extends EnvironmentFacts {
  readonly revision: number;
  /** Of the ruleset at that revision. */
  readonly checksum: string;
}

export const writeEnvironment = ({ name, createdAt, archivedAt, revision, checksum }: EnvironmentState): string =>
  JSON.stringify({ name, createdAt, archivedAt, revision, checksum } satisfies StoredEnvironment);

export const readEnvironment = (content: string): StoredEnvironment => JSON.parse(content) as StoredEnvironment;

export const writeFlag = (flag: Flag): string => JSON.stringify(flag);

export const readFlag = (content: string): Flag => JSON.parse(content) as Flag;

export const writeConfiguration = (stored: StoredConfiguration): string => JSON.stringify(stored);

export const readConfiguration = (content: string): StoredConfiguration => JSON.parse(content) as StoredConfiguration;

export const writeWebhook = (webhook: StoredWebhook): string => JSON.stringify(webhook);

export const readWebhook = (content: string): StoredWebhook => JSON.parse(content) as StoredWebhook;

export const writeSegment = (segment: Segment): string => JSON.stringify(segment);

export const readSegment = (content: string): Segment => JSON.parse(content) as Segment;

/** When the token was last used is kept elsewhere: it changes outside of transactions. */
export function writeToken({ lastUsedAt: _lastUsedAt, digest, ...token }: StoredToken): string {
  return JSON.stringify({ ...token, digest: Buffer.from(digest).toString("hex") });
}

export function readToken(content: string, lastUsedAt: string | null): StoredToken {
  const token = JSON.parse(content) as Omit<StoredToken, "digest" | "lastUsedAt" | "roles"> & {
    digest: string;
    roles?: string[];
  };
  // Tokens of the first schema had no roles.
  return { ...token, roles: token.roles ?? [], lastUsedAt, digest: Buffer.from(token.digest, "hex") };
}

export const writeRollout = (stored: StoredRollout): string => JSON.stringify(stored);

export const readRollout = (content: string): StoredRollout => JSON.parse(content) as StoredRollout;

export const writeDecision = (record: DecisionRecord): string => JSON.stringify(record);

export const readDecision = (content: string): DecisionRecord => JSON.parse(content) as DecisionRecord;

export function writeChange({ epoch, previous, operations, checksum, kill }: PendingCommit, at: number): string {
  return JSON.stringify({ epoch, previous, operations, checksum, kill, committedAt: at });
}

export function readChange(environment: EnvironmentKey, revision: number, content: string): Commit {
  return { ...(JSON.parse(content) as Omit<Commit, "environment" | "revision">), environment, revision };
}

export const configurationKey = (environment: EnvironmentKey, flag: FlagKey): string => `${environment}/${flag}`;

export const decisionKey = (rollout: string, number: number): string => `${rollout}.${number}`;

export const changeKey = (environment: EnvironmentKey, revision: number): string => `${environment}/${revision}`;
