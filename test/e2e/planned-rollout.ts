import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Decision, RolloutCommand, RolloutPlanInput, RolloutReport, RolloutView } from "@bunting/contracts";
import { EVIDENCE_INTERVAL_MS } from "@bunting/contracts/literals";
import { type Conditions, MadeUpTraffic } from "./made-up-traffic.ts";
import type { SpedUpServer } from "./sped-up-server.ts";

export async function readPlan(name: string): Promise<RolloutPlanInput> {
  const file = path.resolve(import.meta.dirname, `../../examples/rollout-plans/${name}.json`);
  return JSON.parse(await readFile(file, "utf8")) as RolloutPlanInput;
}

/** A rollout on a sped-up server, with the traffic that it is judged by. */
export class PlannedRollout {
  readonly id: string;
  readonly #server: SpedUpServer;
  readonly #traffic = new MadeUpTraffic();

  private constructor(server: SpedUpServer, id: string) {
    this.#server = server;
    this.id = id;
  }

  /** Creates the flag `trial` and the rollout, with the checklist ticked; does not start it. */
  static async create(server: SpedUpServer, plan: RolloutPlanInput): Promise<PlannedRollout> {
    const { canary, control, checklist = [] } = plan;
    const variants = { [control]: { value: control }, [canary]: { value: canary } };
    const production = { enabled: true, offVariant: control, fallthrough: { split: { [control]: 100, [canary]: 0 } } };
    const flag = { key: "trial", type: "string", variants, environments: { production } };
    await accepted(server.request("POST", "/api/v1/flags", flag));
    // What a plan tells must be there. These take no word of rollouts: whom they would tell is not in this test.
    for (const name of plan.notify ?? []) {
      const webhook = { name, url: "https://hooks.example.com/releases", kinds: ["webhook.test"] };
      await accepted(server.request("POST", "/api/v1/webhooks", webhook));
    }
    const created = await accepted(
      server.request("POST", "/api/v1/environments/production/flags/trial/rollouts", plan),
    );
    const { id } = created as RolloutView;
    for (const item of checklist) {
      await accepted(server.request("POST", `/api/v1/rollouts/${id}/checklist`, { item, ticked: true }));
    }
    return new PlannedRollout(server, id);
  }

  command(command: RolloutCommand, comment = "", token?: string): Promise<Response> {
    return this.#server.request("POST", `/api/v1/rollouts/${this.id}/${command}`, { comment }, token);
  }

  async do(command: RolloutCommand, comment = "", token?: string): Promise<void> {
    await accepted(this.command(command, comment, token));
  }

  async view(): Promise<RolloutView> {
    return (await accepted(this.#server.request("GET", `/api/v1/rollouts/${this.id}`))) as RolloutView;
  }

  async report(): Promise<RolloutReport> {
    return (await accepted(this.#server.request("GET", `/api/v1/rollouts/${this.id}/report`))) as RolloutReport;
  }

  /** Oldest first. */
  async decisions(): Promise<readonly Decision[]> {
    const decisions: Decision[] = [];
    let cursor: string | null = null;
    do {
      const at = `/api/v1/rollouts/${this.id}/decisions?limit=100${cursor === null ? "" : `&cursor=${cursor}`}`;
      const page = (await accepted(this.#server.request("GET", at))) as {
        items: readonly Decision[];
        nextCursor: string | null;
      };
      decisions.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return decisions.reverse();
  }

  /** The configuration of the flag. */
  async configuration(): Promise<{ readonly killed: unknown; readonly fallthrough: unknown }> {
    const at = "/api/v1/environments/production/flags/trial";
    return (await accepted(this.#server.request("GET", at))) as { killed: unknown; fallthrough: unknown };
  }

  /** Traffic goes on until the rollout is as awaited, and at most for so long by the server's clock. */
  async until(isAwaited: (rollout: RolloutView) => boolean, minutes: number, conditions: Conditions) {
    const deadline = this.#server.now() + minutes * 60_000;
    for (;;) {
      const view = await this.view();
      if (isAwaited(view)) return view;
      const now = this.#server.now();
      if (now >= deadline) {
        throw new Error(`After ${minutes} minutes ${view.id} is ${view.state} at ${view.percent} %: ${view.because}`);
      }
      const batch = this.#traffic.next(view, conditions, now);
      await accepted(this.#server.requestInTime("POST", "/sdk/v1/telemetry", batch, this.#server.sdkToken));
      await this.#server.advance(EVIDENCE_INTERVAL_MS - (this.#server.now() % EVIDENCE_INTERVAL_MS));
    }
  }

  /** Until it has ended, however. */
  untilEnded(minutes: number, conditions: Conditions): Promise<RolloutView> {
    return this.until(({ endedAt }) => endedAt !== null, minutes, conditions);
  }

  /** Traffic for so long, whatever happens. */
  async during(minutes: number, conditions: Conditions): Promise<void> {
    const end = this.#server.now() + minutes * 60_000;
    await this.until(() => this.#server.now() >= end, minutes + 1, conditions);
  }
}

export async function accepted(answer: Promise<Response>): Promise<unknown> {
  const response = await answer;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response.json();
}
