import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Decision, RolloutPlanInput, RolloutView } from "@bunting/contracts";
import { type Child, eventually, type ServerProcess, startChild, startServerProcess } from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { read } from "../architecture/repository.ts";
import { sdkToken } from "./observed-client.ts";
import { accepted } from "./planned-rollout.ts";
import type { Event } from "./versions-service.ts";

/*
 * Two processes whose entities are with two versions of a module, and a rollout of the second one, which breaks in one of them.
 * The applications say nothing of it: what the server knows, it knows from packages/versions. Times are of this machine's clock,
 * the server's and that of the processes alike.
 */

const SERVICES = 2;
const GUIDE_PLAN = JSON.parse(read("examples/rollout-plans/game-logic.json")) as RolloutPlanInput;

/** The shortest that a plan may ask for. */
const ANALYSIS_SECONDS = 5;
/** On a busy machine a process waits its turn for seconds. */
const BUSY_MS = 5_000;
/** From the failure to the server's decision. A value of a gauge is judged at the next look after its batch. */
const BY_GAUGE_MS = 2 * ANALYSIS_SECONDS * 1_000 + BUSY_MS;
/** Outcomes are judged when their interval of ten seconds has ended ten seconds ago. */
const BY_OUTCOMES_MS = 20_000 + BY_GAUGE_MS;

let server: ServerProcess;
beforeAll(async () => {
  server = await startServerProcess();
});
afterAll(() => server.dispose());

describe("a version that breaks in one of several processes is rolled back by the server for all of them", () => {
  it("because of the outcomes of its last batch, where some of the entities are with it", {
    timeout: 180_000,
  }, async () => {
    const services = await playing({ flag: "by-outcomes", entityCount: 50, fault: "throw" });
    const rollout = await Rollout.start("by-outcomes", {
      ...PLAN,
      stages: [{ percent: 40 }, { percent: 100 }],
      guardrails: [{ metric: "error_rate", max: 0.05, worseThanControl: true }],
    });
    await Promise.all(services.map((service) => service.has({ v1: 30, v2: 20 })));

    const failure = await services[0].breaks();
    expect(failure).toMatchObject({ version: "v2", code: "process_threw" });
    const decision = await rollout.rolledBack();
    expect(decision).toMatchObject({ by: "controller", verdict: "fail" });
    // Which of them comes first depends on how many good batches there were before, on a slow machine a few.
    expect(decision.because).toMatch(/error_rate: worse than the control|is failing grossly|breakers are open in/);
    expect(Date.parse(decision.at) - failure.at).toBeLessThanOrEqual(BY_OUTCOMES_MS);
    await expectEverybodyBack(services, { revision: decision.revision, entityCount: 50 });
    expect(await rollout.standing()).toEqual(LATCHED);
  });

  it("because of its gauge, where all entities are with it, or so few that a rate says nothing; until it is mended", {
    timeout: 180_000,
  }, async () => {
    const services = await playing({ flag: "game-logic", entityCount: 3, fault: "loop" });
    // A version of the same name, of another module.
    const bystander = await Rollout.start("matchmaking", {
      ...PLAN,
      guardrails: [{ metric: "failures_matchmaking_v2", kind: "gauge", max: 0 }],
    });
    const rollout = await Rollout.start("game-logic", PLAN);
    await Promise.all(services.map((service) => service.has({ v2: 3 })));

    const failure = await services[0].breaks();
    expect(failure).toMatchObject({ version: "v2", code: "stalled" });
    const decision = await rollout.rolledBack();
    expect(decision).toMatchObject({ by: "controller", verdict: "fail" });
    expect(decision.because).toContain("failures_game_logic_v2: 1 is beyond its limit");
    expect(Date.parse(decision.at) - failure.at).toBeLessThanOrEqual(BY_GAUGE_MS);
    await expectEverybodyBack(services, { revision: decision.revision, entityCount: 3 });
    expect(await rollout.standing()).toEqual(LATCHED);

    // What has broken is still broken there, whoever wishes otherwise.
    await rollout.command("retry");
    const again = await rollout.rolledBack();
    expect(again.because).toContain("failures_game_logic_v2: 1 is beyond its limit");
    await expectEverybodyBack(services, { revision: again.revision, entityCount: 3 });

    await services[0].mends();
    await rollout.command("retry");
    await Promise.all(services.map((service) => service.has({ v2: 3 })));
    await rollout.looks(3);
    expect(await rollout.view()).toMatchObject({ state: "running", attempt: 3 });
    expect(await bystander.view()).toMatchObject({ state: "running", attempt: 1 });
  });
});

// --- the parts

const LATCHED = { fallthrough: { split: { v1: 100, v2: 0 } }, startStatus: 409 };

const PLAN: RolloutPlanInput = {
  ...GUIDE_PLAN,
  stages: [{ percent: 100 }],
  analysisIntervalSeconds: ANALYSIS_SECONDS,
};

interface Setting {
  readonly flag: string;
  /** Of each process. */
  readonly entityCount: number;
  readonly fault: string;
}

type Services = readonly [Service, ...Service[]];

/** All of their entities are with v1. */
async function playing(setting: Setting): Promise<Services> {
  await createFlag(setting.flag);
  const services = await Promise.all(
    Array.from({ length: SERVICES }, (_, index) => Service.start(setting, `${setting.flag}-${index}`)),
  );
  return services as unknown as Services;
}

async function createFlag(key: string): Promise<void> {
  const variants = { v1: { value: "v1" }, v2: { value: "v2" } };
  const environments = { production: { offVariant: "v1", fallthrough: { split: { v1: 100, v2: 0 } } } };
  await accepted(server.request("POST", "/api/v1/flags", { key, type: "string", variants, environments }));
}

/** No entity is lost, none was processed twice or left out, and the version that broke has none. */
async function expectEverybodyBack(
  services: Services,
  { revision, entityCount }: { readonly revision: number | null; readonly entityCount: number },
): Promise<void> {
  for (const service of services) {
    const played = await service.played(
      (one) => one.revision >= (revision ?? Number.NaN) && one.population.v2 === undefined,
    );
    expect(played).toMatchObject({ population: { v1: entityCount }, intactCount: entityCount });
  }
}

class Rollout {
  readonly #id: string;
  readonly #flag: string;

  private constructor(id: string, flag: string) {
    this.#id = id;
    this.#flag = flag;
  }

  /** Of a flag that is created if no process has asked for it. */
  static async start(flag: string, plan: RolloutPlanInput): Promise<Rollout> {
    const at = `/api/v1/environments/production/flags/${flag}`;
    if (!(await server.request("GET", at)).ok) await createFlag(flag);
    const { id } = (await accepted(server.request("POST", `${at}/rollouts`, plan))) as RolloutView;
    const rollout = new Rollout(id, flag);
    await rollout.command("start");
    return rollout;
  }

  async view(): Promise<RolloutView> {
    return (await accepted(server.request("GET", `/api/v1/rollouts/${this.#id}`))) as RolloutView;
  }

  async command(command: "start" | "retry"): Promise<void> {
    await accepted(server.request("POST", `/api/v1/rollouts/${this.#id}/${command}`, { comment: "again" }));
  }

  /** The decision that rolled it back. */
  async rolledBack(): Promise<Decision> {
    await eventually(async () => (await this.view()).state === "rolled_back", {
      withinMs: 90_000,
      everyMs: 100,
      what: `the rollback of ${this.#flag}`,
    });
    const decision = (await this.#decisions()).find(({ action }) => action === "rollback");
    if (decision === undefined) throw new Error("Nobody decided it.");
    return decision;
  }

  /** What the flag serves, and whether a start leads on from here. */
  async standing(): Promise<{ readonly fallthrough: object; readonly startStatus: number }> {
    const at = `/api/v1/environments/production/flags/${this.#flag}`;
    const { fallthrough } = (await accepted(server.request("GET", at))) as { fallthrough: object };
    const { status } = await server.request("POST", `/api/v1/rollouts/${this.#id}/start`, { comment: "" });
    return { fallthrough, startStatus: status };
  }

  /** So many more looks. */
  async looks(count: number): Promise<void> {
    const seen = new Set((await this.#decisions()).map(({ id }) => id));
    await eventually(async () => (await this.#decisions()).filter(({ id }) => !seen.has(id)).length >= count, {
      withinMs: 60_000,
      everyMs: 250,
      what: `${count} looks at ${this.#flag}`,
    });
  }

  async #decisions(): Promise<readonly Decision[]> {
    const at = `/api/v1/rollouts/${this.#id}/decisions?limit=50`;
    return ((await accepted(server.request("GET", at))) as { items: readonly Decision[] }).items;
  }
}

/** A versions-service.ts, and what it has printed. */
class Service {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start({ flag, entityCount, fault }: Setting, instance: string): Promise<Service> {
    const child = await startChild({
      command: process.execPath,
      args: ["--conditions=@bunting/source", "--import", "tsx", path.join(import.meta.dirname, "versions-service.ts")],
      env: {
        ...process.env,
        BUNTING_URL: server.url,
        BUNTING_TOKEN: sdkToken(server),
        INSTANCE: instance,
        FLAG: flag,
        ENTITIES: String(entityCount),
        FAULT: fault,
      },
      cwd: path.resolve(import.meta.dirname, "../.."),
    });
    onTestFinished(async () => void (await child.end("SIGKILL")));
    await child.printed(/"playing"/, 60_000);
    return new Service(child);
  }

  #events<Type extends Event["type"]>(type: Type): readonly Extract<Event, { type: Type }>[] {
    const lines = this.#child.output().split("\n").slice(0, -1);
    const events = lines.flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as Event] : []));
    return events.filter((event) => event.type === type) as Extract<Event, { type: Type }>[];
  }

  /** The first report from now on that is as awaited. */
  played(
    isAwaited: (played: Extract<Event, { type: "played" }>) => boolean,
  ): Promise<Extract<Event, { type: "played" }>> {
    const since = this.#events("played").at(-1)?.at ?? 0;
    return eventually(() => this.#events("played").find((played) => played.at > since && isAwaited(played)), {
      withinMs: 60_000,
      what: "the entities to be where they belong",
    });
  }

  async has(population: Readonly<Record<string, number>>): Promise<void> {
    await this.played((played) => isDeepStrictEqual(played.population, population));
  }

  async breaks(): Promise<Extract<Event, { type: "failure" }>> {
    this.#child.signal("SIGUSR2");
    return await eventually(() => this.#events("failure").at(0), { withinMs: 60_000, what: "the failure" });
  }

  async mends(): Promise<void> {
    this.#child.signal("SIGUSR1");
    await this.#child.printed(/"mended"/, 60_000);
  }
}
