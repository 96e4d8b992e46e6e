import type { FlagServer } from "./server.ts";

/** How far a change has come, as the server can prove it. */
export interface ChangeReceipt {
  readonly revision: number;
  readonly connected: number;
  readonly applied: number;
  readonly complete: boolean;
  /** Who was connected at the commit and has not applied it. */
  readonly pending: readonly { readonly instance: string; readonly connected: boolean }[];
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
}

/** A plan, as far as this story writes one. */
export interface Plan {
  readonly stages: readonly { readonly percent: number; readonly bakeSeconds: number }[];
  readonly guardrails: readonly object[];
  readonly minSamples: number;
}

export interface Rollout {
  readonly id: string;
  readonly state: string;
  /** Counted from 0; null before the start. */
  readonly stage: number | null;
  readonly percent: number;
}

/** What the server did at one look, and on what figures. */
export interface Decision {
  readonly id: string;
  readonly at: string;
  readonly action: string;
  readonly stage: number | null;
  readonly because: string;
  readonly revision: number | null;
  readonly counts: { readonly canary: Arm; readonly control: Arm };
  readonly guardrails: readonly { readonly verdict: string }[];
}

export interface Arm {
  readonly outcomeCount: number;
  readonly errorCount: number;
}

/** The few requests this story needs. Any HTTP client would do: there is nothing here but the REST API. */
export interface Admin {
  createFlag(flag: string, description: string): Promise<void>;
  /** Commits and returns the revision, without waiting for anyone to apply it. */
  setShare(flag: string, percent: number): Promise<number>;
  /** Waits until everyone connected has applied the revision, at most `waitMs`. */
  receipt(revision: number, waitMs: number): Promise<ChangeReceipt>;
  kill(flag: string, reason: string, waitMs: number): Promise<ChangeReceipt>;
  restore(flag: string, reason: string): Promise<void>;
  /** What is stored. */
  share(flag: string): Promise<number>;
  /** Writes the plan down and starts it. */
  startRollout(flag: string, plan: Plan): Promise<Rollout>;
  rollout(id: string): Promise<Rollout>;
  /** Everything that was reported of both ways so far. */
  measured(id: string): Promise<{ readonly canary: Arm; readonly control: Arm }>;
  /** What was done, oldest first; looks that changed nothing are left out. */
  deeds(id: string): Promise<readonly Decision[]>;
}

const ENVIRONMENT = "/api/v1/environments/production";

export function createAdmin(server: FlagServer): Admin {
  const configuration = (flag: string): string => `${ENVIRONMENT}/flags/${flag}`;

  const request = async <Answer>(method: string, path: string, body?: object): Promise<Answer> => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { authorization: `Bearer ${server.adminToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Answer;
  };

  return {
    async createFlag(key, description) {
      await request("POST", "/api/v1/flags", { key, description });
    },
    async setShare(flag, percent) {
      const split = { on: percent, off: 100 - percent };
      const patched = await request<{ position: { revision: number } }>("PATCH", configuration(flag), {
        fallthrough: { split },
      });
      return patched.position.revision;
    },
    receipt: (revision, waitMs) => request("GET", `${ENVIRONMENT}/receipts/${revision}?waitMs=${waitMs}`),
    async kill(flag, reason, waitMs) {
      const path = `${configuration(flag)}/kill?waitMs=${waitMs}`;
      const { receipt } = await request<{ receipt: ChangeReceipt | null }>("POST", path, { reason });
      if (receipt === null) throw new Error("The kill has no receipt.");
      return receipt;
    },
    async restore(flag, reason) {
      await request("POST", `${configuration(flag)}/restore`, { reason });
    },
    async share(flag) {
      const stored = await request<{ fallthrough: { split?: Record<string, number> } }>("GET", configuration(flag));
      return stored.fallthrough.split?.on ?? 0;
    },
    async startRollout(flag, plan) {
      const terms = { canary: "on", control: "off", analysisIntervalSeconds: 5, autoPromote: true };
      const { id } = await request<Rollout>("POST", `${configuration(flag)}/rollouts`, { ...terms, ...plan });
      const { rollout } = await request<{ rollout: Rollout }>("POST", `/api/v1/rollouts/${id}/start`, {});
      return rollout;
    },
    rollout: (id) => request("GET", `/api/v1/rollouts/${id}`),
    async measured(id) {
      const { variants } = await request<{ variants: Record<string, { total: Arm }> }>(
        "GET",
        `/api/v1/rollouts/${id}/metrics`,
      );
      const none = { outcomeCount: 0, errorCount: 0 };
      return { canary: variants.on?.total ?? none, control: variants.off?.total ?? none };
    },
    async deeds(id) {
      const path = `/api/v1/rollouts/${id}/decisions?only=changes&limit=100`;
      const { items } = await request<{ items: readonly Decision[] }>("GET", path);
      return items.filter(({ action }) => action !== "none" && action !== "notify").toReversed();
    },
  };
}
