import type { TrafficSplit } from "@bunting/versions";
import type { FlagServer } from "./flag-server.ts";

export const FLAG = "game-logic";
export const VERSIONS = ["v1", "v2", "v3"] as const;

/** How far a change has come, as the server can prove it. */
export interface Receipt {
  readonly revision: number;
  readonly connected: number;
  readonly applied: number;
  readonly complete: boolean;
  readonly latencyMs: { readonly max: number } | null;
}

export interface Rollout {
  readonly id: string;
  readonly state: string;
}

export interface Decision {
  readonly action: string;
  readonly because: string;
  readonly revision: number | null;
}

/** The flag as an operator sees it: nothing but the REST API. */
export interface GameFlag {
  /** Its variants are the versions, and everybody gets the first. */
  create(): Promise<void>;
  /** Settles when everybody who is connected has applied it. */
  setSplit(split: TrafficSplit): Promise<Receipt>;
  /** Percent by version, as it is stored. */
  split(): Promise<TrafficSplit>;
  receipt(revision: number): Promise<Receipt>;
  /** How many changes the audit holds. */
  auditedChanges(): Promise<number>;
  startRollout(plan: object): Promise<Rollout>;
  rollout(id: string): Promise<Rollout>;
  rollbackOf(id: string): Promise<Decision | undefined>;
}

const ENVIRONMENT = "/api/v1/environments/production";
const CONFIGURATION = `${ENVIRONMENT}/flags/${FLAG}`;
const PATIENCE_MS = 10_000;

export function createGameFlag(server: FlagServer): GameFlag {
  const ask = async <Answer>(method: string, path: string, body?: object): Promise<Answer> => {
    const answer = await fetch(server.url + path, {
      method,
      headers: { authorization: `Bearer ${server.adminToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${await answer.text()}`);
    return (await answer.json()) as Answer;
  };
  const receipt = (revision: number): Promise<Receipt> =>
    ask("GET", `${ENVIRONMENT}/receipts/${revision}?waitMs=${PATIENCE_MS}`);
  const setSplit = async (split: TrafficSplit): Promise<Receipt> => {
    // Named one and all: a merge patch leaves those that it does not name as they are.
    const whole = Object.fromEntries(VERSIONS.map((version) => [version, split[version] ?? 0]));
    const body = { fallthrough: { split: whole } };
    const { position } = await ask<{ position: { revision: number } }>("PATCH", CONFIGURATION, body);
    return await receipt(position.revision);
  };
  return {
    async create() {
      const variants = Object.fromEntries(VERSIONS.map((version) => [version, { value: version }]));
      await ask("POST", "/api/v1/flags", { key: FLAG, type: "string", description: "Physics of the game", variants });
      await setSplit({ v1: 100 });
    },
    setSplit,
    async split() {
      const { fallthrough } = await ask<{ fallthrough: { variant?: string; split?: TrafficSplit } }>(
        "GET",
        CONFIGURATION,
      );
      return fallthrough.split ?? { [fallthrough.variant ?? ""]: 100 };
    },
    receipt,
    async auditedChanges() {
      const { items } = await ask<{ items: readonly unknown[] }>(
        "GET",
        `/api/v1/audit?flag=${FLAG}&environment=production&limit=100`,
      );
      return items.length;
    },
    async startRollout(plan) {
      const { id } = await ask<Rollout>("POST", `${CONFIGURATION}/rollouts`, plan);
      const { rollout } = await ask<{ rollout: Rollout }>("POST", `/api/v1/rollouts/${id}/start`, {});
      return rollout;
    },
    rollout: (id) => ask("GET", `/api/v1/rollouts/${id}`),
    async rollbackOf(id) {
      const path = `/api/v1/rollouts/${id}/decisions?only=changes&limit=100`;
      const { items } = await ask<{ items: readonly Decision[] }>("GET", path);
      return items.find(({ action }) => action === "rollback");
    },
  };
}
