import type { Approval, Signature } from "@bunting/contracts";

/*
 * The GO / NO-GO of a stage. Who signed stands in the rollout; this file says what the signatures amount to. Of several by
 * one person the last one counts, so a refusal is taken back by signing again. A refusal that stands blocks, however many
 * agree.
 */

/** What a stage's approval amounts to. */
export type ApprovalStatus =
  | { readonly name: "not_needed" }
  | { readonly name: "given"; readonly by: readonly string[] }
  | { readonly name: "missing"; readonly waitsFor: readonly string[] }
  | { readonly name: "rejected"; readonly by: string; readonly comment: string };

export interface Signer {
  readonly name: string;
  readonly roles: readonly string[];
}

/**
 * @param approval the stage's; undefined if it asks for none
 * @param signatures of this attempt, of any stage, oldest first
 * @param startedBy who started the attempt
 */
export function approvalStatus(
  approval: Approval | undefined,
  stage: number,
  signatures: readonly Signature[],
  startedBy: string | null,
): ApprovalStatus {
  if (approval === undefined) return { name: "not_needed" };
  const latest = latestOfEach(signatures.filter((signature) => signature.stage === stage));
  const rejection = latest.find(({ decision }) => decision === "reject");
  if (rejection) return { name: "rejected", by: rejection.by, comment: rejection.comment };

  const { roles, signatureCount, byOthers } = termsOf(approval);
  const openRoles = rolesWithoutSigner(roles, latest);
  const missingCount = signatureCount - latest.length;
  // Where more people are waited for anyway, one of them is another.
  const needsAnother = byOthers && latest.length > 0 && missingCount <= 0 && latest.every(({ by }) => by === startedBy);
  const waitsFor = [
    ...signaturesOf(openRoles, rolesThatHelp(roles, latest, openRoles.length)),
    ...(missingCount > openRoles.length ? [`${missingCount - openRoles.length} more of anyone who may approve`] : []),
    ...(needsAnother ? [`one of somebody other than ${startedBy}, who started it`] : []),
  ];
  if (waitsFor.length > 0) return { name: "missing", waitsFor };
  return { name: "given", by: latest.map(({ by }) => by) };
}

/** Whether a signature of this person can count towards the approval. */
export function maySign(approval: Approval, signer: Signer): boolean {
  const { roles } = termsOf(approval);
  return roles.length === 0 || signer.roles.some((role) => roles.includes(role));
}

/** Roles that may sign, for a refusal; empty: anyone who may approve. */
export function signingRoles(approval: Approval): readonly string[] {
  return termsOf(approval).roles;
}

type RoleHolder = Pick<Signer, "roles">;

function termsOf(approval: Approval): {
  readonly roles: readonly string[];
  readonly signatureCount: number;
  readonly byOthers: boolean;
} {
  if (approval === true) return { roles: [], signatureCount: 1, byOthers: false };
  const roles = approval.roles ?? [];
  return { roles, signatureCount: Math.max(approval.signatures, roles.length), byOthers: approval.byOthers };
}

/** Which of the open roles somebody who holds several stands for is nobody's choice: the next signer may fill another. */
function signaturesOf(open: readonly string[], helping: ReadonlySet<string>): readonly string[] {
  if (helping.size <= new Set(open).size) return open.map((role) => `a signature of ${role}`);
  const count = open.length === 1 ? "a signature" : `${open.length} signatures`;
  return [`${count} of ${[...helping].join(" or ")}`];
}

/** Roles one more signer of which would leave fewer open. */
function rolesThatHelp(
  roles: readonly string[],
  signatures: readonly RoleHolder[],
  openCount: number,
): ReadonlySet<string> {
  const helps = (role: string): boolean =>
    rolesWithoutSigner(roles, [...signatures, { roles: [role] }]).length < openCount;
  return new Set(roles.filter(helps));
}

function latestOfEach(signatures: readonly Signature[]): readonly Signature[] {
  return [...new Map(signatures.map((signature) => [signature.by, signature])).values()];
}

/**
 * Roles that no signer is left for when every signature fills one role: one person with two roles is one signature, not two.
 * Augmenting paths, so the answer does not depend on the order in which people signed.
 */
function rolesWithoutSigner(roles: readonly string[], signatures: readonly RoleHolder[]): readonly string[] {
  const roleOf = new Map<RoleHolder, string>();
  const fill = (role: string, tried: Set<RoleHolder>): boolean => {
    for (const signature of signatures) {
      if (!signature.roles.includes(role) || tried.has(signature)) continue;
      tried.add(signature);
      const held = roleOf.get(signature);
      if (held === undefined || fill(held, tried)) {
        roleOf.set(signature, role);
        return true;
      }
    }
    return false;
  };
  return roles.filter((role) => !fill(role, new Set()));
}
