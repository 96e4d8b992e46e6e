import { CHECKOUT_FLAG } from "../shop.ts";
import type { FlagServer } from "./server.ts";

/** How far a change has come, as the server can prove it. */
export interface ChangeReceipt {
  readonly revision: number;
  readonly connected: number;
  readonly applied: number;
  readonly complete: boolean;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
}

/** The few requests this story needs. Any HTTP client would do: there is nothing here but the REST API. */
export interface Admin {
  createFlag(): Promise<void>;
  /** Commits and returns the revision, without waiting for anyone to apply it. */
  setShare(percent: number): Promise<number>;
  /** Waits until everyone connected has applied the revision, at most `waitMs`. */
  receipt(revision: number, waitMs: number): Promise<ChangeReceipt>;
  kill(reason: string, waitMs: number): Promise<ChangeReceipt>;
  /** What is stored, and since which revision. */
  share(): Promise<number>;
  connectedInstances(): Promise<number>;
}

const ENVIRONMENT = "/api/v1/environments/production";

export function createAdmin(server: FlagServer): Admin {
  const configuration = `${ENVIRONMENT}/flags/${CHECKOUT_FLAG}`;

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
    async createFlag() {
      await request("POST", "/api/v1/flags", { key: CHECKOUT_FLAG, description: "One page instead of five steps" });
    },
    async setShare(percent) {
      const split = { on: percent, off: 100 - percent };
      const patched = await request<{ position: { revision: number } }>("PATCH", configuration, {
        fallthrough: { split },
      });
      return patched.position.revision;
    },
    receipt: (revision, waitMs) => request("GET", `${ENVIRONMENT}/receipts/${revision}?waitMs=${waitMs}`),
    async kill(reason, waitMs) {
      const path = `${configuration}/kill?waitMs=${waitMs}`;
      const { receipt } = await request<{ receipt: ChangeReceipt | null }>("POST", path, { reason });
      if (receipt === null) throw new Error("The kill has no receipt.");
      return receipt;
    },
    async share() {
      const stored = await request<{ fallthrough: { split?: Record<string, number> } }>("GET", configuration);
      return stored.fallthrough.split?.on ?? Number.NaN;
    },
    async connectedInstances() {
      const { connectedInstances } = await request<{ connectedInstances: number }>("GET", ENVIRONMENT);
      return connectedInstances;
    },
  };
}
