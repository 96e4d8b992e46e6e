/** The event loop may be this late before the server says it cannot keep up. */
export const LAG_LIMIT_MS = 250;

export interface Condition {
  readonly isDraining: boolean;
  readonly readOnly: "storage_read_only" | "storage_full" | null;
  readonly lagMs: number;
  readonly isLowOnSpace: boolean;
}

export type Readiness =
  | { readonly status: "ready"; readonly warning?: "disk_low" }
  | { readonly status: "not_ready"; readonly reason: "draining" | "storage_read_only" | "storage_full" | "overloaded" };

/** Whether new traffic should come here: asked anew each time, never latched. */
export function decideReadiness({ isDraining, readOnly, lagMs, isLowOnSpace }: Condition): Readiness {
  if (isDraining) return { status: "not_ready", reason: "draining" };
  if (readOnly) return { status: "not_ready", reason: readOnly };
  if (lagMs > LAG_LIMIT_MS) return { status: "not_ready", reason: "overloaded" };
  return { status: "ready", ...(isLowOnSpace && { warning: "disk_low" }) };
}
