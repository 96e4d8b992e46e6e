import {
  type DecisionInputs,
  decide,
  type KeptInputs,
  replay,
  restoreInputs,
  toHistoryCell,
  whatIf,
} from "@bunting/gating";
import { createFakeTime, createSeededRandom } from "@bunting/testkit";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ControllerWorld, FLAG, TUESDAY } from "../controller/controller-fixture.ts";
import { armsOf } from "../evidence/evidence.ts";
import { actor, PRODUCTION } from "../ledger/ledger-fixture.ts";
import { ENGINE } from "../platform/engine.ts";
import { SqliteStore } from "../store/sqlite/sqlite-store.ts";
import { carryOutRuling } from "./record.ts";

let world: ControllerWorld;
beforeEach(() => {
  world = new ControllerWorld({ time: createFakeTime(TUESDAY), random: createSeededRandom(7) });
});
afterEach(() => world.remove());

const all = (rollout: string) => world.ledger.decisions({ rollout, before: null, limit: 10_000, onlyChanges: false });

describe("GA-209 the log of decisions", () => {
  it("keeps what changed something for ever, and of the rest the latest of each attempt", () => {
    const id = world.start({ stages: [{ percent: 10, bakeSeconds: 86_400 }, { percent: 100 }] });
    world.run();
    world.time.advance(150_000);
    const before = all(id);
    const newest = before[0];
    if (!newest) throw new Error("Nothing was decided.");
    world.stop();
    world.folder.close();

    // As one more look would, long after: nothing but looks that only repeated the one before is dropped.
    const store = new SqliteStore(new Database(world.folder.file("bunting.db")), 1_000);
    const { chain } = store.load();
    const number = before.length + 1;
    const entry = { number, changes: false, record: { ...newest, id: `${id}.${number}` } };
    store.commit({
      at: TUESDAY,
      edits: [{ kind: "decision", entry, dropHoldsUpTo: before.length }],
      environments: [],
      commits: [],
      audit: [],
      chain,
      compact: new Map(),
      outbox: [],
    });
    const filter = { rollout: id, before: null, limit: 100 };
    const kept = store.readDecisions({ ...filter, onlyChanges: false });
    expect(kept.map((record) => record.id)).toEqual([
      `${id}.${number}`,
      ...store.readDecisions({ ...filter, onlyChanges: true }).map((record) => record.id),
    ]);
    expect(kept.length).toBeLessThan(before.length);
    expect(kept.at(-1)?.action).toBe("start");
    expect(kept.map(({ cause }) => cause)).toContain("no_data");
    store.close();
  });

  it("is to hold a thousand looks of an attempt that said nothing new", () => {
    const id = world.start();
    const { rollout, ...rest } = world.rollout(id);
    const before = { ...rest, rollout, decisionCount: 5_000 };
    const inputs: DecisionInputs = {
      kind: "analysis",
      rollout,
      flag: { killed: false, configurationVersion: rollout.configurationVersion ?? 0 },
      cells: [],
      samples: {},
      breakers: { openInstanceCount: 0, canaryInstanceCount: 0 },
      previous: null,
      now: TUESDAY,
    };
    const environment = world.ledger.state.environments.get(PRODUCTION);
    const flag = world.ledger.state.flags.get(FLAG);
    if (!environment || !flag) throw new Error("There is no flag.");
    const place = { before, environment, flag, stored: world.configuration() };
    const facts = {
      actor: actor(),
      now: rollout.createdAt,
      newSalt: () => 0,
      engine: "",
      inputs: {},
      isAnalysis: true,
    };
    const { edits } = carryOutRuling(decide(inputs), place, facts);
    expect(edits).toContainEqual(expect.objectContaining({ kind: "decision", dropHoldsUpTo: 4_001 }));
  });

  it("is part of what verification finds damage in, and refuses to show a damaged entry", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 60);
    expect(world.ledger.verify()).toMatchObject({ intact: true });
    world.stop();
    world.folder.close();
    const database = new Database(world.folder.file("bunting.db"));
    database.exec("UPDATE decision SET content = replace(content, 'hold', 'pass') WHERE number = 2");
    database.close();
    world.ledger = world.folder.open().ledger;
    expect(world.ledger.verify().damagedRows).toEqual([{ table: "decision", key: `${id}.2` }]);
    expect(() => all(id)).toThrow(`The decision ${id}.2 is damaged.`);
  });

  it("and its rollout are read back as they were", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 100);
    const before = { stored: world.rollout(id), log: all(id) };
    world.reopen();
    expect({ stored: world.rollout(id), log: all(id) }).toEqual(before);
  });

  it("is not opened where a rollout has been tampered with", () => {
    const id = world.start();
    world.folder.close();
    const database = new Database(world.folder.file("bunting.db"));
    database.exec(`UPDATE rollout SET content = replace(content, '"attempt":1', '"attempt":2') WHERE key = '${id}'`);
    database.close();
    expect(() => world.folder.open()).toThrow("The row");
  });
});

const settledFor = ({ rollout, through }: KeptInputs) => world.evidence.cells(armsOf(rollout), { through }) ?? [];
const restored = (kept: KeptInputs): DecisionInputs | null => restoreInputs(kept, settledFor(kept));

function expectReplayOfLatest(rollout: string): void {
  const [record] = all(rollout);
  if (!record) throw new Error("Nothing was decided.");
  const inputs = JSON.parse(JSON.stringify(restored(record.inputs as unknown as KeptInputs)));
  expect(replay({ ...record, inputs }, ENGINE).differences).toEqual([]);
}

describe("GA-218 a replay", () => {
  it("makes every decision again, byte for byte, from what is stored", () => {
    const id = world.start({
      decideBy: "evidence",
      stages: [
        { percent: 10, bakeSeconds: 60 },
        { percent: 50, bakeSeconds: 3600 },
      ],
    });
    world.run();
    world.traffic(id, 200);
    world.command(id, "pause", "lunch");
    world.do(world.order(id, "resume"), actor("admin"));
    // From instances that were cut off for a minute.
    world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 70, errorCount: 2 }, 6);
    world.evidence.report(world.rollout(id).rollout, "off", { outcomeCount: 70 }, 5);
    world.traffic(id, 60);
    world.time.jumpWallClock(-25_000);
    world.traffic(id, 60);
    world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 500, errorCount: 500 });
    world.time.advance(2_000);
    expect(world.rollout(id).rollout.state).toBe("rolled_back");

    const log = all(id);
    expect(log.length).toBeGreaterThan(20);
    for (const record of log) {
      const kept = record.inputs as unknown as KeptInputs | { readonly kind: "command" };
      const inputs = kept.kind === "analysis" ? restored(kept) : kept;
      const again = replay({ ...record, inputs: JSON.parse(JSON.stringify(inputs)) }, ENGINE);
      expect(again.differences).toEqual([]);
      expect(again).toMatchObject({ same: true, comparison: "bytes" });
    }
    // The one by a gross failure was decided from evidence that had only just come in.
    const failure = log.find(({ action }) => action === "rollback")?.inputs as unknown as KeptInputs;
    const inputs: DecisionInputs | null = restored(failure);
    expect(failure.fresh.length).toBeGreaterThan(0);
    expect(inputs?.cells.length).toBeGreaterThan(failure.fresh.length);
  });

  it("is of the minute before the look, however long that took", () => {
    const id = world.start({ autoRollback: false, analysisIntervalSeconds: 3600 });
    let lookMs = 0;
    world.run({ failpoints: { beforeLook: () => world.time.jumpWallClock(lookMs) } });
    world.traffic(id, 100);
    // Of the interval that ends now. The controller wakes five milliseconds before that has left the last minute.
    world.time.jumpWallClock(-5);
    world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 500, errorCount: 500 });
    world.time.advance(59_000);
    world.command(id, "pause", "lunch");
    lookMs = 10;
    world.time.advance(1_000);
    expectReplayOfLatest(id);
  });

  it("takes no account of evidence that a clock dated ahead before it was set back", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 100);
    world.time.jumpWallClock(-30_000);
    world.time.advance(1_000);
    world.evidence.open = { openInstanceCount: 2, canaryInstanceCount: 2 };
    world.evidence.announce(id);
    world.time.advance(2_000);
    expect(world.rollout(id).rollout.state).toBe("rolled_back");
    expectReplayOfLatest(id);
  });

  it("knows when evidence that a decision rests on is gone, were it a single row", () => {
    const id = world.start();
    world.run();
    world.traffic(id, 60);
    const kept = all(id)[0]?.inputs as unknown as KeptInputs;
    const settled = settledFor(kept);
    expect(kept.settledCount).toBeGreaterThan(4);
    expect(restoreInputs(kept, settled)?.cells).toHaveLength(settled.length);
    expect(restoreInputs(kept, settled.slice(1))).toBeNull();
    expect(restoreInputs(kept, [])).toBeNull();
    // What a person did to the flag is known without evidence, and replayed without it.
    world.edit({ fallthrough: { split: { on: 30, off: 70 } } });
    world.time.advance(1_000);
    const standDown = all(id)[0]?.inputs as unknown as KeptInputs;
    expect(world.rollout(id).rollout.state).toBe("aborted");
    expect(restoreInputs(standDown, [])).not.toBeNull();
  });
});

describe("GA-175 what-if under the plan that was real", () => {
  it("gives the log, with late evidence, people, a clock that was set back and a gross failure in it", () => {
    const id = world.start({
      decideBy: "evidence",
      stages: [
        { percent: 10, bakeSeconds: 60 },
        { percent: 50, bakeSeconds: 3600 },
      ],
      guardrails: [{ metric: "error_rate", worseThanControl: true }],
    });
    world.run();
    world.traffic(id, 200);
    world.command(id, "promote", "as planned");
    world.traffic(id, 30);
    world.command(id, "pause", "lunch");
    world.do(world.order(id, "resume"), actor("admin"));
    world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 70, errorCount: 2 }, 6);
    world.traffic(id, 60);
    world.time.jumpWallClock(-25_000);
    world.traffic(id, 60);
    world.evidence.report(world.rollout(id).rollout, "on", { outcomeCount: 500, errorCount: 500 });
    world.time.advance(2_000);

    const { rollout } = world.rollout(id);
    const log = all(id).toReversed();
    const through = Number.MAX_SAFE_INTEGER;
    const cells = world.evidence.cells(armsOf(rollout), { through }) ?? [];
    const history = JSON.parse(JSON.stringify({ rollout, records: log, until: world.time.clock.now() }));
    const { timeline, partedAt } = whatIf({ ...history, cells: cells.map(toHistoryCell) }, rollout.plan);
    expect(log.map(({ action }) => action)).toEqual(expect.arrayContaining(["promote", "pause", "resume", "rollback"]));
    const recorded = log
      .slice(1)
      .map(({ id: _id, revision: _revision, engine: _engine, inputs: _inputs, ...draft }) => draft);
    expect(timeline.map(({ decision }) => decision)).toEqual(recorded);
    expect(timeline.flatMap(({ unknown }) => unknown)).toEqual([]);
    expect(partedAt).toBeNull();
  });
});
