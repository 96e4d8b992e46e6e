import type { Delivery, NotificationKind } from "@bunting/contracts";
import type { Generated } from "kysely";

/** The tables as kysely sees them; the truth is in ../migrations. */
export interface Tables {
  readonly meta: { id: 1; content: string; checksum: Uint8Array };
  readonly environment: Keyed;
  readonly flag: Keyed;
  readonly configuration: { environment: string; flag: string; content: string; checksum: Uint8Array };
  readonly segment: Keyed;
  readonly token: Keyed;
  readonly webhook: Keyed;
  readonly delivery: {
    number: Generated<number>;
    id: string;
    webhook: string;
    notification: string;
    kind: NotificationKind;
    created_at: number;
    body: string;
    checksum: Uint8Array;
    body_bytes: number;
    state: Delivery["state"];
    try_count: number;
    next_try_at: number | null;
    last_try: string | null;
  };
  readonly token_use: { token: string; at: number };
  readonly change: { environment: string; revision: number; content: string; checksum: Uint8Array };
  readonly audit: {
    number: number;
    action: string;
    object_kind: string;
    object_key: string;
    environment: string | null;
    content: string;
  };
  readonly rollout: Keyed;
  readonly decision: {
    rollout: string;
    number: number;
    attempt: number;
    changes: number;
    content: string;
    checksum: Uint8Array;
  };
  readonly response: { token: string; key: string; at: number; content: string; checksum: Uint8Array };
}

interface Keyed {
  key: string;
  content: string;
  checksum: Uint8Array;
}
