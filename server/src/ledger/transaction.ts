import type { AuditEntry } from "@bunting/contracts";
import { appendEntry, type ChainHead, headAfter } from "../audit/chain.ts";
import { withId } from "../notifications/notification.ts";
import { type OutboxRow, outboxRows } from "../notifications/outbox-rows.ts";
import { toInstant } from "../platform/instant.ts";
import type { PendingCommit } from "./apply.ts";
import type { Actor } from "./command.ts";
import type { AuditDraft, Decision } from "./decision.ts";
import type { EnvironmentState, State } from "./state.ts";

/*
 * What belongs into the transaction of a change beside its documents. Pure.
 */

export interface AuditFacts {
  readonly head: ChainHead;
  readonly actor: Actor;
  /** Unix ms. */
  readonly at: number;
  readonly commits: readonly PendingCommit[];
}

/** The entries that a change adds to the audit, and the chain's head after them. */
export function auditEntries(drafts: readonly AuditDraft[], { head, actor, at, commits }: AuditFacts) {
  const revisions = Object.fromEntries(commits.map(({ environment, revision }) => [environment, revision]));
  let chain = head;
  const entries = drafts.map(({ action, object, before, after, reason }) => {
    const entry = appendEntry(chain, {
      at: toInstant(at),
      actor: { token: actor.token, kind: actor.kind, name: actor.name },
      action,
      object,
      before: before as AuditEntry["before"],
      after: after as AuditEntry["after"],
      revisions,
      reason,
      requestId: actor.requestId,
    });
    chain = headAfter(entry);
    return entry;
  });
  return { entries, chain };
}

/** Those whose row is another one than before. Configurations have rows of their own. */
export function changedEnvironments(before: State, after: State): readonly EnvironmentState[] {
  return [...after.environments.values()].filter((environment) => {
    const old = before.environments.get(environment.key);
    return !old || old.revision !== environment.revision || old.archivedAt !== environment.archivedAt;
  });
}

/** @param newId a fresh id at each call */
export function outboxOf(
  { announcements = [] }: Decision,
  { webhooks }: Pick<State, "webhooks">,
  newId: () => string,
): readonly OutboxRow[] {
  return announcements.flatMap(({ notification, to }) =>
    outboxRows(withId(notification, newId()), webhooks.values(), to),
  );
}
