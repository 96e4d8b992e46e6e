import { configurationDraft, type EnvironmentKey, type Ruleset } from "@bunting/contracts";
import { applyOperations, rulesetChecksum } from "@bunting/engine";
import { createFakeTime, createSeededRandom, type FakeTime } from "@bunting/testkit";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isIntact } from "../audit/chain.ts";
import type { Actor, Command, Idempotency, Outcome } from "./command.ts";
import type { ClosingEvent, Ledger } from "./ledger.ts";
import {
  actor,
  createFlag,
  createTokenOf,
  flagKeyOf,
  killOf,
  PRODUCTION,
  patchOf,
  putSegmentOf,
  restoreOf,
  STAGING,
  segmentKeyOf,
  TestFolder,
} from "./ledger-fixture.ts";
import type { Commit, State } from "./state.ts";

let time: FakeTime;
let folder: TestFolder;
let ledger: Ledger;
beforeEach(() => {
  time = createFakeTime();
  folder = new TestFolder({ time, random: createSeededRandom(11) });
  ledger = folder.open().ledger;
});
afterEach(() => folder.remove());

function reopen(): Ledger {
  folder.close();
  ledger = folder.open().ledger;
  return ledger;
}

function accept(outcome: Outcome) {
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.refusal));
  return outcome;
}

const run = (command: Command, by = actor()) => accept(ledger.execute(command, by));

const ramp = (flag: string, on: number) => patchOf(flag, { fallthrough: { split: { on, off: 100 - on } } });

const revisionOf = (environment: EnvironmentKey) => ledger.state.environments.get(environment)?.revision;

describe("R32 listeners hear of a change after it is durable", () => {
  it("once per environment, with the state already new", () => {
    const heard: [string, number, boolean][] = [];
    ledger.onCommit(({ environment, revision }) => {
      heard.push([environment, revision, ledger.state.flags.has(flagKeyOf("redis"))]);
    });
    run(createFlag("redis"));
    expect(heard).toEqual([
      ["production", 1, true],
      ["staging", 1, true],
      ["development", 1, true],
    ]);
  });

  it("not at all when the change is refused, or changes no ruleset", () => {
    run(createFlag("redis"));
    const heard: Commit[] = [];
    ledger.onCommit((commit) => void heard.push(commit));
    ledger.execute(createFlag("redis"), actor());
    ledger.execute(ramp("redis", 0), actor());
    ledger.execute(createTokenOf({}), actor());
    expect(heard).toEqual([]);
  });

  it("in the order of revisions, also when a listener makes a change of its own", () => {
    run(createFlag("a"));
    const heard: number[] = [];
    let answered = false;
    ledger.onCommit(() => {
      if (answered) return;
      answered = true;
      run(killOf("a"));
    });
    ledger.onCommit(({ revision }) => void heard.push(revision));
    run(ramp("a", 10));
    expect(heard).toEqual([2, 3]);
  });

  it("each, although another one fails", () => {
    const heard: string[] = [];
    ledger.onCommit(() => {
      throw new Error("I am broken");
    });
    const cancel = ledger.onCommit(({ environment }) => void heard.push(environment));
    run(createFlag("a"));
    expect(heard).toHaveLength(3);
    expect(folder.lines.filter(({ level }) => level === "error")).toHaveLength(3);
    cancel();
    run(createFlag("b"));
    expect(heard).toHaveLength(3);
  });

  it("R9 of a revoked token and an archived environment too", () => {
    const heard: ClosingEvent[] = [];
    ledger.onClosing((event) => void heard.push(event));
    const id = [...ledger.state.tokens.values()].find(({ kind }) => kind === "server")?.id ?? "";
    run({ type: "revoke_token", id });
    run({ type: "archive_environment", environment: STAGING });
    expect(heard).toEqual([
      { type: "token_revoked", token: id },
      { type: "environment_archived", environment: "staging" },
    ]);
    expect(ledger.ruleset(STAGING)).toBeUndefined();
  });
});

describe("the log of changes", () => {
  it("DL-11 tells A, B, A as three changes", () => {
    run(createFlag("a"));
    const first = ledger.ruleset(PRODUCTION)?.checksum;
    run(killOf("a"));
    run(restoreOf("a"));
    expect(ledger.ruleset(PRODUCTION)?.checksum).toBe(first);
    const changes = ledger.changesAfter(PRODUCTION, 0);
    expect(changes).toMatchObject([{ revision: 1 }, { revision: 2 }, { revision: 3 }]);
    expect(changes === "compacted" ? null : changes.map(({ kill }) => kill?.length ?? 0)).toEqual([0, 1, 0]);
  });

  it("R6 is compacted on disk as in memory, and leads from its edge to the head", () => {
    run(createFlag("a"));
    for (let index = 0; index < 1_030; index++) run(ramp("a", index % 2 ? 10 : 20));
    time.advance(2 * 24 * 60 * 60 * 1000);
    run(killOf("a"));
    const base = 1_031 - 1_024;
    const check = (): void => {
      expect(ledger.changesAfter(PRODUCTION, base - 1)).toBe("compacted");
      expect(ledger.changesAfter(PRODUCTION, base)).toHaveLength(1_025);
      expect(ledger.changesAfter(PRODUCTION, 1_032)).toEqual([]);
    };
    check();
    reopen();
    check();
  });

  it("has no environment that is not there", () => {
    expect(ledger.changesAfter("moon" as EnvironmentKey, 0)).toBe("compacted");
    expect(ledger.ruleset("moon" as EnvironmentKey)).toBeUndefined();
  });
});

describe("R12 a repeated request", () => {
  const request = (key: string, digest = "d"): Idempotency => ({
    key,
    digest,
    respond: (accepted) => ({
      status: 201,
      body: JSON.stringify(accepted.commits.map(({ revision }) => revision)),
      headers: { etag: '"1"' },
    }),
  });

  it("gives the stored answer and changes nothing, also after a restart", () => {
    const first = accept(ledger.execute(createFlag("a"), actor(), request("k")));
    expect(first.replayed).toBeUndefined();
    const expected = { status: 201, body: "[1,1,1]", headers: { etag: '"1"' } };
    expect(accept(ledger.execute(createFlag("a"), actor(), request("k"))).replayed).toEqual(expected);
    reopen();
    expect(accept(ledger.execute(createFlag("a"), actor(), request("k"))).replayed).toEqual(expected);
    expect(revisionOf(PRODUCTION)).toBe(1);
  });

  it("is another request with another digest, or from another token", () => {
    ledger.execute(createFlag("a"), actor(), request("k"));
    const reused = ledger.execute(createFlag("b"), actor(), request("k", "other"));
    expect(reused).toMatchObject({ ok: false, refusal: { code: "idempotency_key_reused" } });
    const other = { ...actor(), token: "another" };
    expect(accept(ledger.execute(createFlag("b"), other, request("k", "other"))).replayed).toBeUndefined();
  });

  it("is forgotten after a day, and what was refused was never kept", () => {
    expect(ledger.execute(killOf("a"), actor(), request("k"))).toMatchObject({ ok: false });
    accept(ledger.execute(createFlag("a"), actor(), request("k")));
    time.advance(24 * 60 * 60 * 1000);
    expect(accept(ledger.execute(createFlag("a"), actor(), request("k"))).replayed).toBeDefined();
    time.advance(1);
    expect(ledger.execute(createFlag("a"), actor(), request("k"))).toMatchObject({ refusal: { code: "flag_exists" } });
  });

  it("answers the same where there was nothing to change", () => {
    run(createFlag("a"));
    accept(ledger.execute(ramp("a", 0), actor(), request("k")));
    run(ramp("a", 50));
    expect(accept(ledger.execute(ramp("a", 0), actor(), request("k"))).replayed).toMatchObject({ body: "[]" });
  });

  it("does not show a token's secret again, but names the token", () => {
    const { secret } = accept(ledger.execute(createTokenOf({}), actor(), request("k")));
    const again = ledger.execute(createTokenOf({}), actor(), request("k"));
    const id = secret?.split("_")[2];
    expect(again).toMatchObject({ ok: false, refusal: { code: "secret_shown_once" } });
    expect(again.ok ? "" : again.refusal.detail).toContain(id);
  });

  it("is no way around a missing permission", () => {
    ledger.execute(createFlag("a"), actor(), request("k"));
    const demoted = { ...actor("viewer"), token: actor().token };
    expect(ledger.execute(createFlag("a"), demoted, request("k"))).toMatchObject({ refusal: { code: "forbidden" } });
  });
});

describe("R11 several editors of one version", () => {
  it("one wins, and the audit holds the winner alone", () => {
    run(createFlag("a"));
    const entries = ledger.verify().entries;
    const codes = [10, 20, 30, 40].map((percent) => {
      const split = { on: percent, off: 100 - percent };
      const outcome = ledger.execute(patchOf("a", { fallthrough: { split } }, { ifVersion: 1 }), actor());
      return outcome.ok ? "won" : outcome.refusal.code;
    });
    expect(codes).toEqual(["won", "version_mismatch", "version_mismatch", "version_mismatch"]);
    expect(ledger.verify().entries).toBe(entries + 1);
    expect(ledger.audit({ before: null, limit: 1, environments: null })[0]).toMatchObject({
      action: "patch_configuration",
      after: { fallthrough: { split: { on: 10 } } },
      revisions: { production: 2 },
    });
  });
});

describe("R39 the head of the audit", () => {
  it("is in the log each hour, for a place that whoever rewrites the database does not reach", () => {
    run(createFlag("redis"));
    time.advance(60 * 60_000);
    const { entries, head } = ledger.verify();
    expect(folder.lines).toContainEqual({ level: "info", fields: { entries, head }, message: "audit head" });
  });
});

describe("R39 a verification that takes its time", () => {
  const ROUNDS = 260; // Two entries each: more than one page of the audit.
  beforeEach(() => {
    for (let round = 0; round < ROUNDS; round++) {
      run(createFlag(`flag-${round}`));
      run(killOf(`flag-${round}`));
    }
  });

  it("is not disturbed by what is committed between its steps", () => {
    const steps = ledger.verifyInSteps();
    let rounds = 0;
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) {
        expect(step.value).toMatchObject({ intact: true, brokenAt: null, damagedRows: [] });
        // The chain is compared at its last step: what was committed until then is in it.
        expect(step.value.entries).toBe(ledger.verify().entries);
        break;
      }
      // What it has read already, what it is about to read, and what is new.
      run(restoreOf(`flag-${rounds}`));
      run(restoreOf(`flag-${ROUNDS - 1 - rounds}`));
      run(createFlag(`meanwhile-${rounds}`));
      rounds += 1;
    }
    expect(rounds).toBeGreaterThan(10);
  });

  it("is the same as one without interruptions when nothing is committed", () => {
    const steps = ledger.verifyInSteps();
    const done: number[] = [];
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) {
        expect(step.value).toEqual(ledger.verify());
        expect(done.every((count, index) => index === 0 || count >= (done[index - 1] ?? 0))).toBe(true);
        return;
      }
      done.push(step.value);
    }
  });
});

describe("GV-01 permission is checked where the change is committed", () => {
  const inEnvironment = (environment: EnvironmentKey): Command[] => [
    { type: "archive_environment", environment },
    { ...put("a"), environment } as Command,
    patchOf("a", { enabled: false }, { environment }),
    { ...killOf("a"), environment } as Command,
    { ...restoreOf("a"), environment } as Command,
    { type: "reshuffle", environment, flag: flagKeyOf("a"), reason: "r", cohort: null },
  ];
  const everywhere: Command[] = [
    { type: "create_environment", key: "qa" as EnvironmentKey, name: "" },
    createFlag("b"),
    { type: "patch_flag", flag: flagKeyOf("a"), patch: { description: "x" }, ifVersion: null } as unknown as Command,
    { type: "archive_flag", flag: flagKeyOf("a"), ifVersion: null },
    putSegmentOf("s", [{ attribute: "a", op: "exists", values: [true] }]),
    { type: "delete_segment", segment: segmentKeyOf("s"), ifVersion: null },
  ];
  const ofTokens: Command[] = [createTokenOf({}), { type: "revoke_token", id: "none" }];

  function put(flag: string): Omit<Extract<Command, { type: "put_configuration" }>, "environment"> {
    const draft = { enabled: false, offVariant: "off", bucketBy: ["key"], pins: {}, prerequisites: [], rules: [] };
    return {
      type: "put_configuration",
      flag: flagKeyOf(flag),
      draft: configurationDraft.parse({ ...draft, fallthrough: { variant: "off" } }),
      ifVersion: null,
    };
  }

  /** The refusals that say no more than "not you". */
  const turnedAway = (command: Command, by: Actor): string | null => {
    const outcome = ledger.execute(command, by);
    if (outcome.ok || !["forbidden", "environment_not_found"].includes(outcome.refusal.code)) return null;
    return outcome.refusal.code;
  };

  it.each(["viewer", "server", "client"] as const)("a %s token changes nothing at all", (kind) => {
    run(createFlag("a"));
    const { state } = ledger;
    for (const command of [...inEnvironment(PRODUCTION), ...everywhere, ...ofTokens]) {
      expect([command.type, turnedAway(command, actor(kind))]).toEqual([command.type, "forbidden"]);
    }
    expect(ledger.state).toBe(state);
  });

  it.each(["admin", "operator"] as const)("a %s token changes nothing outside its environments", (kind) => {
    run(createFlag("a"));
    const { state } = ledger;
    const limited = actor(kind, [STAGING]);
    for (const command of inEnvironment(PRODUCTION)) {
      const isAllowed =
        kind === "admin" || ["put_configuration", "patch_configuration", "kill", "restore"].includes(command.type);
      expect([command.type, turnedAway(command, limited)]).toEqual([
        command.type,
        isAllowed ? "environment_not_found" : "forbidden",
      ]);
    }
    for (const command of everywhere) expect(turnedAway(command, limited)).toBe("forbidden");
    expect(ledger.state).toBe(state);
  });

  it("an admin may do all of it, an operator kill, restore and ramp", () => {
    run(createFlag("a"));
    const operator = actor("operator", [PRODUCTION]);
    expect(run(ramp("a", 5), operator).commits).toHaveLength(1);
    expect(run(killOf("a"), operator).commits).toHaveLength(1);
    expect(run(restoreOf("a"), operator).commits).toHaveLength(1);
    expect(turnedAway(patchOf("a", { enabled: false }), operator)).toBe("forbidden");
    for (const command of [...ofTokens, ...inEnvironment(STAGING).slice(1), ...everywhere]) {
      expect([command.type, turnedAway(command, actor())]).toEqual([command.type, null]);
    }
  });
});

describe("R8 an SDK that is ahead of the head", () => {
  it("begins a new epoch above what it saw, closes every stream, and is audited", () => {
    run(createFlag("a"));
    const closed: ClosingEvent[] = [];
    ledger.onClosing((event) => void closed.push(event));
    const { epoch } = ledger.state;
    expect(ledger.reportAhead(PRODUCTION, 5)).toBe(true);
    expect(ledger.state.epoch).not.toBe(epoch);
    expect(revisionOf(PRODUCTION)).toBe(6);
    expect(revisionOf(STAGING)).toBe(2);
    expect(closed).toEqual([{ type: "history_rewritten" }]);
    expect(ledger.ruleset(PRODUCTION)).toMatchObject({ epoch: ledger.state.epoch, revision: 6 });
    expect(ledger.changesAfter(PRODUCTION, 5)).toBe("compacted");
    run(killOf("a"));
    expect(ledger.changesAfter(PRODUCTION, 6)).toMatchObject([{ revision: 7, epoch: ledger.state.epoch }]);
    const { state } = ledger;
    expect(reopen().state.epoch).toBe(state.epoch);
    expect(revisionOf(PRODUCTION)).toBe(7);
  });

  it("does so at most once a minute, and never for what cannot be", () => {
    const { epoch } = ledger.state;
    for (const revision of [0, -1, 1.5, Number.NaN, Number.MAX_SAFE_INTEGER, 2e9]) {
      expect(ledger.reportAhead(PRODUCTION, revision)).toBe(false);
    }
    expect(ledger.reportAhead("moon" as EnvironmentKey, 5)).toBe(false);
    expect(ledger.state.epoch).toBe(epoch);
    expect(ledger.reportAhead(PRODUCTION, 5)).toBe(true);
    expect(ledger.reportAhead(PRODUCTION, 50)).toBe(false);
    time.advance(60_000);
    expect(ledger.reportAhead(PRODUCTION, 50)).toBe(true);
  });
});

describe("R39 the audit", () => {
  it("is read newest first, by page, flag, environment and action", () => {
    run(createFlag("a", { environments: { staging: { enabled: false } } }));
    run(createFlag("b"));
    run(killOf("a"));
    const all = { before: null, limit: 200, environments: null };
    const numbers = (filter: object) => ledger.audit({ ...all, ...filter }).map(({ number }) => number);
    const everything = numbers({});
    expect(everything).toEqual([...everything].sort((a, b) => b - a));
    expect(numbers({ limit: 2, before: everything[1] })).toEqual(everything.slice(2, 4));
    expect(
      ledger.audit({ ...all, flag: "a" }).map(({ action, object }) => [action, object.kind, object.environment]),
    ).toEqual([
      ["kill", "configuration", "production"],
      ["create_flag", "configuration", "staging"],
      ["create_flag", "flag", null],
    ]);
    expect(numbers({ action: "kill" })).toHaveLength(1);
    expect(
      ledger.audit({ ...all, environment: "staging" }).every(({ object }) => object.environment === "staging"),
    ).toBe(true);
    expect(ledger.audit(all).every(isIntact)).toBe(true);
  });

  it("R9 shows a limited token its environments and what is common, no tokens and no other environment", () => {
    run(createFlag("a", { environments: { staging: {}, production: {} } }));
    run(createTokenOf({}));
    const seen = ledger.audit({ before: null, limit: 200, environments: [STAGING] });
    expect(new Set(seen.map(({ object }) => object.environment))).toEqual(new Set(["staging", null]));
    expect(seen.some(({ object }) => object.kind === "token")).toBe(false);
  });
});

/** Everything a state says, in an order of its own. */
function plain(state: State): unknown {
  const sorted = <Value>(map: ReadonlyMap<string, Value>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...state,
    flags: sorted(state.flags),
    segments: sorted(state.segments),
    rollouts: sorted(state.rollouts),
    tokens: sorted(state.tokens).map(([id, { digest, ...token }]) => [id, { ...token, digest: [...digest] }]),
    environments: [...state.environments].map(([key, environment]) => [
      key,
      {
        ...environment,
        configurations: sorted(environment.configurations),
        flags: sorted(environment.flags),
        segments: sorted(environment.segments),
      },
    ]),
  };
}

describe("random sequences of commands", () => {
  const flag = fc.constantFrom("a", "b", "c");
  const environment = fc.constantFrom(PRODUCTION, STAGING, "qa" as EnvironmentKey);
  const percent = fc.integer({ min: 0, max: 100 });
  const staff = (suffix: string) => putSegmentOf("staff", [{ attribute: "email", op: "ends_with", values: [suffix] }]);
  const serves = percent.map((on) => ({ split: { on, off: 100 - on } }));
  const rules = fc.array(fc.tuple(fc.constantFrom("r1", "r2"), fc.oneof(serves, fc.constant({ variant: "on" }))), {
    maxLength: 2,
  });
  const command: fc.Arbitrary<Command> = fc.oneof(
    flag.map((key) => createFlag(key, { tags: ["t"] })),
    fc
      .tuple(flag, environment, serves)
      .map(([key, where, fallthrough]) => patchOf(key, { fallthrough }, { environment: where })),
    fc
      .tuple(flag, environment, rules)
      .map(([key, where, list]) =>
        patchOf(
          key,
          { rules: list.map(([id, serve]) => ({ id, when: [{ segment: "staff" }], serve })) },
          { environment: where },
        ),
      ),
    fc.tuple(flag, flag).map(([key, other]) => patchOf(key, { prerequisites: [{ flag: other, variants: ["on"] }] })),
    flag.map((key) => killOf(key)),
    fc.constant({ type: "kill", environment: STAGING, target: { tag: "t" }, reason: "tag" } as Command),
    flag.map((key) => restoreOf(key)),
    flag.map((key) => ({ type: "archive_flag", flag: flagKeyOf(key), ifVersion: null }) as Command),
    flag.map(
      (key) =>
        ({
          type: "patch_flag",
          flag: flagKeyOf(key),
          patch: { variants: { blue: { value: true } } },
          ifVersion: null,
        }) as unknown as Command,
    ),
    flag.map(
      (key) =>
        ({
          type: "reshuffle",
          environment: PRODUCTION,
          flag: flagKeyOf(key),
          reason: "r",
          cohort: "spring",
        }) as Command,
    ),
    fc.constantFrom("@x.org", "@y.org").map(staff),
    fc.constant({ type: "delete_segment", segment: segmentKeyOf("staff"), ifVersion: null } as Command),
    fc.constant({ type: "create_environment", key: "qa" as EnvironmentKey, name: "QA" } as Command),
    fc.constant({ type: "archive_environment", environment: "qa" as EnvironmentKey } as Command),
    fc.constant(createTokenOf({ name: "one more" })),
  );

  it("R2 R36 leave on disk what is in memory, and a log that leads from nothing to the ruleset", () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 5, maxLength: 60 }), (commands) => {
        const place = new TestFolder({ time, random: createSeededRandom(12) });
        try {
          const opened = place.open().ledger;
          const heard = new Map<string, Commit[]>();
          opened.onCommit((commit) => {
            heard.set(commit.environment, [...(heard.get(commit.environment) ?? []), commit]);
          });
          for (const each of commands) opened.execute(each, actor());

          for (const { key, archivedAt } of opened.state.environments.values()) {
            const head = opened.ruleset(key);
            if (archivedAt !== null || !head) continue;
            expect(rulesetChecksum(head)).toBe(head.checksum);
            let ruleset: Ruleset = {
              epoch: head.epoch,
              revision: 0,
              checksum: "000000000000",
              flags: {},
              segments: {},
            };
            const log = opened.changesAfter(key, 0);
            if (log === "compacted") throw new Error("Nothing was compacted.");
            expect(log).toEqual(heard.get(key) ?? []);
            for (const commit of log) {
              const applied = applyOperations(ruleset, { ...commit, operations: [...commit.operations] });
              if (!applied.ok)
                throw new Error(`Revision ${commit.revision} of ${key} does not apply: ${applied.reason}.`);
              ruleset = applied.ruleset;
            }
            expect(ruleset).toEqual(head);
          }

          const before = plain(opened.state);
          place.close();
          const reopened = place.open().ledger;
          expect(plain(reopened.state)).toEqual(before);
          expect(reopened.verify()).toMatchObject({ intact: true });
          for (const [key, commits] of heard) expect(reopened.changesAfter(key as EnvironmentKey, 0)).toEqual(commits);
        } finally {
          place.remove();
        }
      }),
      { numRuns: 15 },
    );
  });
});
