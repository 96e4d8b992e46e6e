import type { Registry } from "prom-client";
import type { EvidenceSource } from "../evidence/evidence.ts";
import type { Actor } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { StoredConfiguration, StoredRollout } from "../ledger/state.ts";
import type { Clock, Logger, Scheduler } from "../ports.ts";
import { liveRollouts } from "../rollouts/rollout.ts";
import { AttemptMemory } from "./attempt-memory.ts";
import { type ControllerMetrics, createControllerMetrics, type LookAge } from "./controller-metrics.ts";
import { Listening } from "./listening.ts";
import { type LookEvidence, type Looked, look, watch } from "./look.ts";
import { type Attention, type Due, dueOf } from "./schedule.ts";

export interface ControllerDeps {
  readonly ledger: Pick<Ledger, "state" | "readOnly" | "execute" | "onCommit">;
  readonly evidence: LookEvidence & Pick<EvidenceSource, "onArrival">;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly failpoints?: ControllerFailpoints;
}

/** Moments at which a test stops the process; that after the commit is the ledger's. */
export interface ControllerFailpoints {
  readonly beforeLook?: () => void;
  readonly afterLook?: () => void;
}

export interface Controller {
  close(): void;
}

/** Looks for what is due this often. Timers only wake: what is to be done is read from the ledger each time. */
const WAKE_MS = 1_000;
/** A look that led to nothing, because evidence could not be read or the decision could not be stored, comes again. */
const AGAIN_MS = 1_000;

const UNSEEN: Attention = {
  lookedAt: Number.NEGATIVE_INFINITY,
  version: 0,
  watchedAt: Number.NEGATIVE_INFINITY,
  attendedAt: Number.NEGATIVE_INFINITY,
  isLooking: false,
  hasNews: false,
  notBefore: Number.NEGATIVE_INFINITY,
};

const CONTROLLER: Actor = {
  token: "system",
  kind: "system",
  name: "controller",
  environments: null,
  roles: [],
  requestId: "controller",
};

interface Live {
  readonly stored: StoredRollout;
  readonly configuration: StoredConfiguration["configuration"];
}

/**
 * Starts what decides rollouts: looks, lets gating say what follows, and asks the ledger to carry it out if nobody was faster.
 * It keeps nothing that matters: stopped at any moment, the next one goes on from what is stored.
 */
export function startController(deps: ControllerDeps): Controller {
  return new RolloutController(deps);
}

class RolloutController implements Controller {
  readonly #deps: ControllerDeps;
  readonly #metrics: ControllerMetrics;
  readonly #attention = new Map<string, Attention>();
  readonly #memories = new Map<string, AttemptMemory>();
  readonly #cancel: readonly (() => void)[];
  readonly #startedAt: number;
  readonly #listening: Listening;
  #isAwake = false;
  #isClosed = false;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.#startedAt = deps.clock.monotonic();
    this.#listening = new Listening(deps.clock);
    const { ledger, evidence, scheduler, registry } = deps;
    this.#metrics = createControllerMetrics(registry, () => this.#ages());
    this.#cancel = [
      scheduler.every(WAKE_MS, () => {
        this.#listening.goOn();
        this.#wake();
      }),
      evidence.onArrival((rollout) => this.#note(rollout)),
      // A person may have changed a flag that is being rolled out.
      ledger.onCommit(() => this.#wake()),
    ];
    this.#wake();
  }

  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#cancel) cancel();
  }

  #note(rollout: string): void {
    const attention = this.#attention.get(rollout);
    if (!attention) return;
    this.#attention.set(rollout, { ...attention, hasNews: true });
    this.#wake();
  }

  #wake(): void {
    if (this.#isAwake || this.#isClosed) return;
    this.#isAwake = true;
    this.#deps.scheduler.soon(() => this.#next());
  }

  /** One rollout at a time, with the event loop in between: a look may take milliseconds, and streams must not wait for many. */
  #next(): void {
    const job = this.#isClosed ? null : this.#findDue();
    if (!job) {
      this.#isAwake = false;
      return;
    }
    this.#attend(job.live, job.due);
    this.#deps.scheduler.soon(() => this.#next());
  }

  /** Of all that are due, the one that has waited longest. */
  #findDue(): { readonly live: Live; readonly due: Due } | null {
    // Whatever would be decided could not be stored, and what is not stored has not happened.
    if (this.#deps.ledger.readOnly === "storage_read_only") return null;
    const live = this.#live();
    this.#forgetOthers(live);
    const now = this.#deps.clock.monotonic();
    let next: { readonly live: Live; readonly due: Due } | null = null;
    let waitingSince = Number.POSITIVE_INFINITY;
    for (const each of live) {
      const attention = this.#attention.get(each.stored.rollout.id) ?? UNSEEN;
      const due = dueOf(each.stored, each.configuration.version, attention, now);
      // In a fixed order the first ones, which news make due again every second, would starve the last.
      if (due === null || attention.attendedAt >= waitingSince) continue;
      next = { live: each, due };
      waitingSince = attention.attendedAt;
    }
    return next;
  }

  #live(): readonly Live[] {
    const { environments, rollouts } = this.#deps.ledger.state;
    return liveRollouts(rollouts).flatMap((stored) => {
      const environment = environments.get(stored.rollout.environment);
      const configuration = environment?.configurations.get(stored.rollout.flag)?.configuration;
      return environment?.archivedAt === null && configuration ? { stored, configuration } : [];
    });
  }

  #forgetOthers(live: readonly Live[]): void {
    const ids = new Set(live.map(({ stored }) => stored.rollout.id));
    for (const id of this.#attention.keys()) if (!ids.has(id)) this.#attention.delete(id);
    for (const id of this.#memories.keys()) if (!ids.has(id)) this.#memories.delete(id);
  }

  #memoryOf({ rollout }: StoredRollout): AttemptMemory {
    const known = this.#memories.get(rollout.id);
    if (known?.isOf(rollout)) return known;
    const memory = new AttemptMemory(rollout);
    this.#memories.set(rollout.id, memory);
    return memory;
  }

  /** Never throws: whatever goes wrong with one rollout is nothing to the others. */
  #attend(live: Live, due: Due): void {
    const { clock, logger } = this.#deps;
    const { id } = live.stored.rollout;
    const startedAt = clock.monotonic();
    try {
      const outcome = this.#perform(live, due);
      if (outcome === "more") this.#goOnLater(id, startedAt);
      else this.#remember(live, due, startedAt, outcome === "done" ? 0 : AGAIN_MS);
    } catch (error) {
      this.#metrics.defects.inc();
      // It may be what went wrong, or half of it.
      this.#memories.delete(id);
      logger.error({ error, rollout: id }, "A rollout could not be judged. It is paused.");
      this.#remember(live, due, startedAt, live.stored.rollout.plan.analysisIntervalSeconds * 1_000);
      this.#pause(live);
    }
    this.#metrics.lookSeconds.observe((clock.monotonic() - startedAt) / 1_000);
  }

  #perform({ stored, configuration }: Live, due: Due): "done" | "again" | "more" {
    const { clock, evidence, failpoints } = this.#deps;
    const watchedSince = this.#listening.goOn();
    const facts = { memory: this.#memoryOf(stored), now: clock.now(), watchedSince };
    failpoints?.beforeLook?.();
    if (due === "watch") {
      const failing = watch(stored, configuration, evidence, facts);
      return failing === null || !isNews(failing, stored) || this.#step(stored, failing, due) ? "done" : "again";
    }
    const looked = look(stored, configuration, evidence, facts);
    if (looked === "more") return "more";
    if (looked !== "unreadable") return this.#step(stored, looked, due) ? "done" : "again";
    this.#metrics.unreadable.inc();
    this.#deps.logger.warn({ rollout: stored.rollout.id }, "The evidence of a rollout cannot be read at the moment.");
    return "again";
  }

  #step({ rollout }: StoredRollout, { ruling, inputs }: Looked, due: Due): boolean {
    const { ledger, logger, failpoints } = this.#deps;
    failpoints?.afterLook?.();
    const basedOn = { rollout: rollout.version, configuration: inputs.flag.configurationVersion };
    const { environment, id } = rollout;
    const outcome = ledger.execute(
      { type: "rollout_step", environment, rollout: id, basedOn, ruling, inputs },
      CONTROLLER,
    );
    if (!outcome.ok) {
      const { code, detail } = outcome.refusal;
      this.#metrics.refused.inc({ code });
      logger.warn({ rollout: id, code, detail }, "A decision of the controller was not carried out.");
      return false;
    }
    const { verdict, cause, action, because } = ruling.decision;
    this.#metrics.looks.inc({ due, verdict: verdict ?? "none" });
    if (action !== "none") logger.info({ rollout: id, verdict, cause, action, because }, "rollout decision");
    return true;
  }

  #goOnLater(id: string, now: number): void {
    const before = this.#attention.get(id) ?? UNSEEN;
    this.#attention.set(id, { ...before, attendedAt: now, isLooking: true });
  }

  #remember({ stored }: Live, due: Due, now: number, restMs: number): void {
    const { id } = stored.rollout;
    const before = this.#attention.get(id) ?? UNSEEN;
    const version = this.#deps.ledger.state.rollouts.get(id)?.rollout.version ?? before.version;
    // What led to nothing does not count as a look, and is due again after its rest.
    const seen = due === "look" && restMs === 0 ? { lookedAt: now, version } : {};
    this.#attention.set(id, {
      ...before,
      ...seen,
      watchedAt: now,
      attendedAt: now,
      // What is seen between the turns of a look does not end it.
      isLooking: due === "watch" && before.isLooking,
      hasNews: false,
      notBefore: now + restMs,
    });
  }

  #pause({ stored }: Live): void {
    const { id, environment, state } = stored.rollout;
    if (state === "paused") return;
    const comment = "The controller met a defect of the server while judging it; the log says which.";
    const command = {
      type: "rollout_command",
      environment,
      rollout: id,
      command: "pause",
      comment,
      ifVersion: null,
    } as const;
    try {
      this.#deps.ledger.execute(command, CONTROLLER);
    } catch (error) {
      this.#deps.logger.error({ error, rollout: id }, "A rollout could not be paused.");
    }
  }

  #ages(): readonly LookAge[] {
    const now = this.#deps.clock.monotonic();
    return this.#live().map(({ stored: { rollout } }) => {
      const { lookedAt } = this.#attention.get(rollout.id) ?? UNSEEN;
      return {
        environment: rollout.environment,
        flag: rollout.flag,
        ageSeconds: (now - Math.max(lookedAt, this.#startedAt)) / 1_000,
        intervalSeconds: rollout.plan.analysisIntervalSeconds,
      };
    });
  }
}

/** Whether a failure changes anything, or is at least the first to be seen: batches come every second, and one entry is enough. */
function isNews({ ruling }: Looked, { rollout, latestAnalysis }: StoredRollout): boolean {
  return ruling.transition.state.name !== rollout.state || latestAnalysis?.verdict !== "fail";
}
