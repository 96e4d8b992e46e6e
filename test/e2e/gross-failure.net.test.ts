import path from "node:path";
import type { Decision, RolloutView } from "@bunting/contracts";
import { type Child, eventually, type ServerProcess, startChild, startServerProcess } from "@bunting/testkit";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Event } from "./burning-service.ts";
import { createFlag, headOf, sdkToken } from "./observed-client.ts";

/*
 * A canary with 1 % of a thousand requests a second in each of three processes, which begins to fail with every request. What the
 * processes print has the times of one clock, that of this machine.
 */

const SERVICES = 3;
/**
 * From the first failed request in a process to the last one, by that process's own clock. The canary gets ten requests a second
 * in each, 1 % of 1,000, and the breaker opens at the ninth failure.
 */
const BURNING_MS = 1_000;

describe("a canary that fails every request", () => {
  it("is without traffic everywhere within ten seconds, and in each process within one", {
    timeout: 180_000,
  }, async () => {
    const { server, services, rollout } = await burning();
    for (const service of services) service.burn();

    const ended = await eventually(async () => (await rollout.view()).endedAt !== null && rollout.view(), {
      withinMs: 30_000,
      what: "the rollout to end",
    });
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const decision = await rollout.lastDecision();
    expect(decision).toMatchObject({ by: "controller", verdict: "fail", action: "rollback" });
    const revision = decision.revision ?? Number.NaN;
    expect(revision).toBe((await headOf(server)).revision);
    await Promise.all(services.map((service) => service.applied(revision)));

    const firstFailureAt = Math.min(...services.flatMap((service) => service.failures().map(({ at }) => at)));
    expect(Date.parse(decision.at)).toBeGreaterThanOrEqual(firstFailureAt);
    expect(Date.parse(decision.at) - firstFailureAt).toBeLessThanOrEqual(10_000);
    for (const service of services) {
      const appliedAt = service.events("applied").find((applied) => applied.revision >= revision)?.at;
      expect((appliedAt ?? Number.NaN) - firstFailureAt).toBeLessThanOrEqual(10_000);
      // By its own breaker, or by the rollback that the breakers of the others brought about: whichever came first.
      expectBurnedShortly(service);
      await expectNoMoreCanary(service);
    }
  });

  it("is without traffic in each process within a second though the server is dead, and rolled back when it is there again", {
    timeout: 180_000,
  }, async () => {
    const { server, services, rollout } = await burning();
    await server.kill();
    for (const service of services) service.burn();

    for (const service of services) {
      await eventually(() => service.failures().some(({ isBreakerOpen }) => isBreakerOpen), {
        what: "the breaker to open",
      });
      expectBreakerFirst(service);
      await expectNoMoreCanary(service);
    }

    await server.restart();
    const ended = await eventually(async () => (await rollout.view()).endedAt !== null && rollout.view(), {
      withinMs: 60_000,
      what: "the rollout to end",
    });
    expect(ended).toMatchObject({ state: "rolled_back", percent: 0 });
    const { revision } = await rollout.lastDecision();
    await Promise.all(services.map((service) => service.applied(revision ?? Number.NaN)));
  });
});

// --- the parts

/** A rollout at 1 %, with requests of a canary that still works in every process. */
async function burning() {
  const server = await startServerProcess();
  onTestFinished(() => server.dispose());
  await createFlag(server, "burning");
  const services = await Promise.all(Array.from({ length: SERVICES }, (_, index) => Service.start(server, index)));
  const rollout = await startRollout(server);
  await Promise.all(services.map((service) => service.servesCanary()));
  return { server, services, rollout };
}

async function startRollout(server: ServerProcess) {
  const json = async <Body>(answer: Promise<Response>): Promise<Body> => {
    const response = await answer;
    if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  };
  const plan = {
    canary: "on",
    control: "off",
    stages: [{ percent: 1 }, { percent: 100 }],
    guardrails: [{ metric: "error_rate", max: 0.01, worseThanControl: true }],
    autoPromote: true,
  };
  const at = "/api/v1/environments/production/flags/burning/rollouts";
  const { id } = await json<RolloutView>(server.request("POST", at, plan));
  await json(server.request("POST", `/api/v1/rollouts/${id}/start`, { comment: "" }));
  return {
    view: () => json<RolloutView>(server.request("GET", `/api/v1/rollouts/${id}`)),
    async lastDecision(): Promise<Decision> {
      const page = await json<{ items: readonly Decision[] }>(
        server.request("GET", `/api/v1/rollouts/${id}/decisions?limit=1`),
      );
      const [last] = page.items;
      if (!last) throw new Error("Nothing was decided.");
      return last;
    },
  };
}

/** The breaker opened, and no request of the canary followed. */
function expectBreakerFirst(service: Service): void {
  const opening = service.failures().findIndex(({ isBreakerOpen }) => isBreakerOpen);
  expect(opening).toBeGreaterThanOrEqual(0);
  expect(service.failures()).toHaveLength(opening + 1);
  expectBurnedShortly(service);
}

/** A process that a busy machine does not let run can do nothing meanwhile: only that is taken off its time. */
function expectBurnedShortly(service: Service): void {
  const [first, last] = [service.failures().at(0), service.failures().at(-1)];
  if (!first || !last) throw new Error("Nothing failed in this process.");
  expect(last.clockMs - first.clockMs).toBeLessThanOrEqual(BURNING_MS + last.heldUpMs);
}

/** Two thousand requests, of which twenty would have been the canary's. */
async function expectNoMoreCanary(service: Service): Promise<void> {
  const failureCount = service.failures().length;
  const reportCount = service.events("served").length;
  await eventually(() => service.events("served").length >= reportCount + 3, { what: "three seconds of requests" });
  const [first, , third] = service.events("served").slice(reportCount);
  expect(third?.canaryCount).toBe(first?.canaryCount);
  expect(service.failures()).toHaveLength(failureCount);
}

/** A burning-service.ts, and what it has printed. */
class Service {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(server: ServerProcess, index: number): Promise<Service> {
    const child = await startChild({
      command: process.execPath,
      args: ["--conditions=@bunting/source", "--import", "tsx", path.join(import.meta.dirname, "burning-service.ts")],
      env: {
        ...process.env,
        BUNTING_URL: server.url,
        BUNTING_TOKEN: sdkToken(server),
        INSTANCE: `service-${index}`,
      },
      cwd: path.resolve(import.meta.dirname, "../.."),
    });
    onTestFinished(async () => void (await child.end("SIGKILL")));
    await child.printed(/"serving"/, 60_000);
    return new Service(child);
  }

  events<Type extends Event["type"]>(type: Type): readonly Extract<Event, { type: Type }>[] {
    const lines = this.#child.output().split("\n").slice(0, -1);
    const events = lines.map((line) => JSON.parse(line) as Event);
    return events.filter((event) => event.type === type) as Extract<Event, { type: Type }>[];
  }

  failures(): readonly Extract<Event, { type: "failed" }>[] {
    return this.events("failed");
  }

  burn(): void {
    this.#child.signal("SIGUSR2");
  }

  async servesCanary(): Promise<void> {
    await eventually(() => (this.events("served").at(-1)?.canaryCount ?? 0) > 0, {
      withinMs: 30_000,
      what: "requests of the canary",
    });
  }

  async applied(revision: number): Promise<void> {
    await eventually(() => this.events("applied").some((applied) => applied.revision >= revision), {
      withinMs: 30_000,
      what: `revision ${revision} to be applied`,
    });
  }
}
