import type { Webhook } from "@bunting/contracts";

/** A webhook as the ledger keeps it. */
export interface StoredWebhook extends Omit<Webhook, "secrets"> {
  /** Its address, encrypted: that of an incoming webhook is a password in itself. */
  readonly sealedUrl: string;
  /** Newest first, at most two. */
  readonly secrets: readonly StoredSecret[];
}

export interface StoredSecret {
  /** Encrypted. */
  readonly sealed: string;
  readonly createdAt: string;
  /** Null: until the next rotation. */
  readonly endsAt: string | null;
}

export function shownWebhook({ sealedUrl: _sealedUrl, secrets, ...webhook }: StoredWebhook): Webhook {
  return { ...webhook, secrets: secrets.map(({ createdAt, endsAt }) => ({ createdAt, endsAt })) };
}

/** What a sealed text is bound to: it opens in this place of this record alone. */
export const sealedUrlRecord = (id: string): string => `webhook/${id}/url`;

export const sealedSecretRecord = (id: string): string => `webhook/${id}/secret`;
