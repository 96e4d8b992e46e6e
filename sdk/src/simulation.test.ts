import type { ServerMessage, TelemetryBatch } from "@bunting/contracts";
import { applyOperations, rulesetChecksum } from "@bunting/engine";
import { booleanFlag, createOrigin, createSdkWorld, type SdkWorld, type StreamNodeOptions } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "./create-flags.ts";
import type { Exposure, Flags, Position } from "./types.ts";

/*
 * A client, two servers of which one lags, and a network that drops, delays, duplicates, reorders and cuts, all from one
 * seed. Safety is judged at every change while the faults go on; liveness only after a quiet heal, in which nobody writes any
 * more: a later change would hide a lost last one, and the last one is usually the kill.
 */

const FAULTS_MS = 120_000;
/** Silence deadline, back-off cap, and what a resync that failed before may still wait. */
const HEAL_MS = 150_000;
const KEYS = ["pair-a", "pair-b", "solo", "last"] as const;

/** A flag in a rollout that now and then reaches another stage, or begins anew. */
const gated = (attempt: number, stage: number) =>
  booleanFlag("gated", {
    percent: 50,
    entry: {
      rollout: { id: "r", attempt, stage, canary: "on", control: "off", rule: null, groupSalt: 3, metrics: ["clicks"] },
    },
  });

interface Plan {
  readonly seed: number;
  readonly node?: Partial<StreamNodeOptions>;
  /** What a client with a fault would make of a frame. */
  readonly tamper?: (text: string, world: SdkWorld, position: Position | null) => string;
  /** Serves requests to a flag in a rollout as well. */
  readonly hasRollout?: boolean;
}

interface Outcome {
  readonly violations: readonly string[];
  readonly converged: boolean;
  readonly connections: number;
  readonly resyncs: number;
  readonly produced: number;
  readonly counted: number;
  readonly pending: number;
  /** The same of exposures, outcomes and calls of track. */
  readonly events: { readonly produced: number; readonly counted: number; readonly pending: number };
  readonly openings: number;
}

function simulate({ seed, node = {}, tamper, hasRollout = false }: Plan): Outcome {
  const origin = createOrigin([...KEYS.map((key) => booleanFlag(key)), ...(hasRollout ? [gated(1, 0)] : [])]);
  const world = createSdkWorld(seed, origin);
  const { random, time, network } = world;
  const prompt = world.serve(node);
  const lagging = world.serve({
    ...node,
    lagMs: () => random.below(5_000),
    ahead: random.next() < 0.5 ? "answer" : "refuse",
  });
  const healthy = world.leadTo(prompt);
  const slow = world.leadTo(lagging);
  network.server = {
    socket: (peer) => {
      if (random.next() < 0.1) return peer.fail("ECONNREFUSED");
      (random.next() < 0.6 ? healthy : slow).socket(peer);
    },
    request: (request, answer) => (random.next() < 0.6 ? healthy : slow).request(request, answer),
  };
  network.latencyMs = () => 1 + random.below(80);
  network.fate = () => {
    const draw = random.next();
    if (draw < 0.04) return "drop";
    if (draw < 0.08) return "duplicate";
    if (draw < 0.14) return { delayMs: random.below(2_500) };
    return draw < 0.17 ? "cut" : "deliver";
  };
  const flags = createFlagsOn(world.platform, { url: "https://flags.test", token: "t", flushIntervalMs: 4_000 });
  if (tamper !== undefined) network.tamper = (text) => tamper(text, world, flags.status().position);

  const watch = judge(flags, world);
  const traffic = hasRollout ? createTraffic(flags, world) : null;
  let produced = 0;
  for (let elapsed = 0; elapsed < FAULTS_MS; elapsed += 250) {
    if (random.next() < 0.25) edit(world);
    if (random.next() < 0.004) {
      origin.rewriteHistory(`epoch-${elapsed}`);
      prompt.reload();
      time.scheduler.after(random.below(4_000), () => lagging.reload());
    }
    if (flags.status().position !== null) {
      for (const key of KEYS) flags.isEnabled(key, "u");
      produced += KEYS.length + (traffic?.serve() ?? 0);
    }
    time.advance(250);
  }
  origin.kill("last");
  // A moment in which the last edit may get lost; then the network is well and nobody writes.
  time.advance(100);
  network.fate = () => "deliver";
  network.server = healthy;
  time.advance(HEAL_MS);
  const { position, counters } = flags.status();
  const { epoch, revision } = origin.ruleset;
  const converged = position?.epoch === epoch && position.revision === revision && !flags.isEnabled("last", "u");
  produced += 1;
  traffic?.finish();
  time.advance(20_000);
  prompt.stop();
  lagging.stop();
  return {
    violations: watch.violations,
    converged,
    connections: counters.connections,
    resyncs: counters.resyncs,
    produced: produced + watch.evaluations(),
    counted: world.telemetry.total,
    pending: flags.status().counters.pending,
    events: {
      produced: traffic?.events() ?? 0,
      counted: eventsIn(world.telemetry.batches),
      pending: flags.status().counters.evidencePending,
    },
    openings: world.telemetry.batches.flatMap(({ breakers = [] }) => breakers).length,
  };
}

/** Requests to a flag in a rollout, some of which end late. Too few errors for the breaker, which would count for itself. */
function createTraffic(flags: Flags, { random, origin }: SdkWorld) {
  const open: Exposure[] = [];
  let [events, attempt, stage] = [0, 1, 0];
  const settle = (exposure: Exposure): void => {
    events += 1;
    if (random.next() < 0.01) exposure.error();
    else exposure.success(random.below(3_000));
  };
  return {
    events: () => events,
    /** How many evaluations. */
    serve(): number {
      if (random.next() < 0.02) {
        [attempt, stage] = random.next() < 0.5 ? [attempt + 1, 0] : [attempt, stage + 1];
        origin.put(gated(attempt, stage));
      }
      flags.isEnabled("gated", `u-${random.below(50)}`);
      flags.track("clicks", `u-${random.below(50)}`);
      open.push(flags.expose("gated", `u-${random.below(50)}`));
      events += 3;
      while (open.length > 0 && random.next() < 0.6) {
        const [exposure] = open.splice(random.below(open.length), 1);
        if (exposure !== undefined) settle(exposure);
      }
      return 2;
    },
    finish: () => open.forEach(settle),
  };
}

function eventsIn(batches: readonly TelemetryBatch[]): number {
  let events = 0;
  for (const { evidence = [], evidenceDropped = 0 } of batches) {
    events += evidenceDropped;
    for (const { exposureCount, outcomeCount, metrics = {} } of evidence) {
      events += exposureCount + outcomeCount;
      for (const { eventCount } of Object.values(metrics)) events += eventCount;
    }
  }
  return events;
}

function edit({ random, origin }: SdkWorld): void {
  const shape = { percent: random.next() < 0.5 ? 0 : 100, salt: random.below(1_000_000) };
  const present = KEYS.filter((key) => origin.ruleset.flags[key as keyof typeof origin.ruleset.flags] !== undefined);
  switch (random.below(5)) {
    case 0: {
      const victim = present[random.below(present.length)];
      if (victim !== undefined) origin.kill(victim);
      break;
    }
    case 1:
      if (present.includes("solo")) origin.remove("solo");
      else origin.put(booleanFlag("solo", shape));
      break;
    case 2:
      origin.put(booleanFlag("last", shape));
      break;
    default:
      origin.put(booleanFlag("pair-a", shape), booleanFlag("pair-b", { ...shape, salt: shape.salt + 1 }));
  }
}

/** Looks after every change, as an application would see it. */
function judge(flags: Flags, { origin }: SdkWorld): { readonly violations: string[]; evaluations(): number } {
  let evaluations = 0;
  const violations: string[] = [];
  const left = new Set<string>();
  let before: Position | null = null;
  flags.on("change", () => {
    const { position } = flags.status();
    if (position === null) return;
    const at = `${position.epoch}:${position.revision}`;
    if (before !== null && before.epoch === position.epoch && position.revision < before.revision) {
      violations.push(`R1 from ${before.revision} back to ${at}`);
    }
    if (before !== null && before.epoch !== position.epoch) left.add(before.epoch);
    if (left.has(position.epoch)) violations.push(`R1 entered ${at} again`);
    before = position;
    const truth = origin.history.get(at);
    if (truth === undefined) return void violations.push(`R8 holds ${at}, which never was`);
    for (const key of KEYS) {
      const entry = truth.flags[key as keyof typeof truth.flags];
      const { variant, detail } = flags.evaluate(key, "u");
      evaluations += 1;
      const allocation = entry !== undefined && "allocation" in entry.fallthrough ? entry.fallthrough.allocation : [];
      const expected = entry === undefined ? null : entry.killed ? "off" : (allocation[0]?.[0] ?? null);
      // An early kill is the one thing that may be ahead of the position.
      if (variant !== expected && !(detail === "killed" && variant === "off")) {
        violations.push(`R2 at ${at} ${key} is ${variant}, not ${expected}`);
      }
    }
  });
  return { violations, evaluations: () => evaluations };
}

const seeds = (count: number, from = 1): number[] => Array.from({ length: count }, (_, index) => from + index);

describe("LC-30, LC-31, ST-36 in a bad world", () => {
  it.each(seeds(40))("seed %i: never back, never half, and at head after a quiet heal", (seed) => {
    const outcome = simulate({ seed });
    expect(outcome.violations).toEqual([]);
    expect(outcome.converged).toBe(true);
    // The schedule must have reached what it was written for.
    expect(outcome.connections).toBeGreaterThan(3);
  });

  it("LC-62, TE-17 counts every exposure exactly once", () => {
    for (const seed of seeds(10, 500)) {
      const { produced, counted, pending } = simulate({ seed });
      expect({ seed, counted, pending }).toEqual({ seed, counted: produced, pending: 0 });
    }
  });
});

describe("TE-40 what rollouts produced = what was counted + reported as dropped + pending", () => {
  it.each(seeds(10, 700))("seed %i: with outcomes that come late and stages that change", (seed) => {
    const { events, openings } = simulate({ seed, hasRollout: true });
    expect({ counted: events.counted, pending: events.pending }).toEqual({ counted: events.produced, pending: 0 });
    expect(events.produced).toBeGreaterThan(1_000);
    expect(openings).toBe(0);
  });
});

describe("planted faults are found", () => {
  it("a heartbeat without a revision: the lost last kill is never noticed", () => {
    const outcomes = seeds(60).map((seed) => simulate({ seed, node: { heartbeat: "frozen" } }));
    expect(outcomes.filter(({ converged }) => !converged).length).toBeGreaterThan(0);
  });

  it("no check for gaps: a patch is taken for whatever comes next", () => {
    const outcomes = seeds(20).map((seed) => simulate({ seed, tamper: withoutGapCheck }));
    expect(outcomes.filter(({ violations }) => violations.length > 0).length).toBeGreaterThan(10);
  });

  it("no look at what a snapshot holds: an older one passes for a newer one", () => {
    const outcomes = seeds(30).map((seed) => simulate({ seed, tamper: withForgedRevision }));
    expect(outcomes.filter(({ violations }) => violations.length > 0).length).toBeGreaterThan(0);
  });
});

/** As if the client did not compare `previous`: the patch follows on what it holds, and the checksum says so. */
function withoutGapCheck(text: string, { origin }: SdkWorld, position: Position | null): string {
  const message = JSON.parse(text) as ServerMessage;
  if (message.type !== "patch" || position === null || message.previous <= position.revision) return text;
  const held = origin.history.get(`${position.epoch}:${position.revision}`);
  if (held === undefined) return text;
  const { revision } = message;
  const flags: Record<string, unknown> = { ...held.flags };
  for (const operation of message.operations) {
    if (operation.op === "put") flags[operation.key] = operation.value;
    else delete flags[operation.key];
  }
  const checksum = rulesetChecksum({ flags, segments: {} } as Parameters<typeof rulesetChecksum>[0]);
  const forged = { ...message, previous: position.revision, revision, checksum };
  expect(applyOperations(held, forged).ok).toBe(true);
  return JSON.stringify(forged);
}

/** An older snapshot under the next revision, which no checksum of entries can tell apart. */
function withForgedRevision(text: string, { origin }: SdkWorld, position: Position | null): string {
  const message = JSON.parse(text) as ServerMessage;
  if (message.type !== "snapshot" || position === null || message.epoch !== position.epoch) return text;
  if (message.revision >= position.revision) return text;
  expect(origin.history.has(`${message.epoch}:${message.revision}`)).toBe(true);
  return JSON.stringify({ ...message, revision: position.revision + 1 });
}
