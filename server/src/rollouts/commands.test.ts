import { type RolloutPlanInput, webhookDraft } from "@bunting/contracts";
import { createSeededRandom } from "@bunting/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import type { Actor, Command } from "../ledger/command.ts";
import {
  actor,
  createFlag,
  flagKeyOf,
  killOf,
  PRODUCTION,
  patchOf,
  restoreOf,
  STAGING,
  World,
} from "../ledger/ledger-fixture.ts";
import { planOf } from "./rollout-fixture.ts";

type Order = Extract<Command, { type: "rollout_command" }>;

const FLAG = flagKeyOf("checkout");
const OPERATOR: Actor = { ...actor("operator"), name: "release owner" };
const SIGNER: Actor = { ...actor("operator"), name: "on-call", roles: ["SRE", "Gardener"] };

let world: World;
beforeEach(() => {
  world = new World(createSeededRandom(5));
  // A Tuesday, 15:00 in Paris.
  world.now = "2026-11-24T14:00:00.000Z";
  world.do(createFlag(FLAG));
});

const plan = (fields: Partial<RolloutPlanInput> = {}): Command => ({
  type: "create_rollout",
  environment: PRODUCTION,
  flag: FLAG,
  plan: planOf(fields),
});

function create(fields: Partial<RolloutPlanInput> = {}): string {
  return world.do(plan(fields), OPERATOR).decision.audit[0]?.object.key ?? "";
}

function order(rollout: string, command: Order["command"], more: Partial<Order> = {}): Order {
  return { type: "rollout_command", environment: PRODUCTION, rollout, command, comment: "", ifVersion: null, ...more };
}

const rollout = (id: string) => {
  const stored = world.state.rollouts.get(id);
  if (!stored) throw new Error(`There is no rollout ${id}.`);
  return stored.rollout;
};

describe("GA-212 a plan", () => {
  it("is pending and changes nothing until somebody starts it", () => {
    const before = world.entry(FLAG);
    const id = create();
    expect(id).toMatch(/^ro-[0-9a-f]{12}$/);
    expect(rollout(id)).toMatchObject({ state: "pending", stage: null, percent: 0, createdBy: "release owner" });
    expect(world.entry(FLAG)).toBe(before);
  });

  it.each<[string, string, Partial<RolloutPlanInput>, readonly string[]]>([
    ["a canary that the flag does not have", "variant_unknown", { canary: "maybe" }, ["/canary"]],
    ["a rule that is not there", "rollout_scope_unknown", { scope: { rule: "eu" } }, ["/scope/rule"]],
    [
      "a window that ends before it begins",
      "rollout_plan_invalid",
      { windows: [{ timezone: "Europe/Paris", days: ["tue"], from: "17:00", to: "14:00" }] },
      ["/windows/0"],
    ],
  ])("is refused with %s", (_, code, fields, paths) => {
    expect(world.refusal(plan(fields), OPERATOR)).toEqual({ code, paths });
  });

  it("GA-219 is refused if it tells a webhook that is not there, or not told of its environment, with the names that are", () => {
    const url = "http://receiver.internal:8080/";
    const draft = (name: string, environments: readonly string[] | null): Command => ({
      type: "create_webhook",
      draft: webhookDraft.parse({ name, url, environments }),
    });
    expect(world.refusal(plan({ notify: ["pager"] }), OPERATOR)).toEqual({
      code: "webhook_unknown",
      paths: ["/notify/0"],
    });
    world.do(draft("releases", null));
    world.do(draft("quiet", [STAGING]));
    const refused = world.decide(plan({ notify: ["releases", "quiet", "pager"] }), OPERATOR);
    expect(refused).toMatchObject({
      ok: false,
      refusal: {
        code: "webhook_unknown",
        errors: [
          { path: "/notify/1", message: "No webhook quiet is told of production. There are: releases." },
          { path: "/notify/2", message: "No webhook pager is told of production. There are: releases." },
        ],
      },
    });
    create({ notify: ["releases"] });
  });

  it("is refused while another one on the flag has not ended, and accepted after", () => {
    const first = create();
    expect(world.refusal(plan(), OPERATOR).code).toBe("rollout_exists");
    world.do(order(first, "start"), OPERATOR);
    expect(world.refusal(plan(), OPERATOR).code).toBe("rollout_exists");
    world.do(order(first, "rollback"), OPERATOR);
    const second = create();
    world.do(order(second, "start"), OPERATOR);
    expect(world.refusal(order(first, "retry"), OPERATOR).code).toBe("rollout_exists");
  });

  it("may stand beside one of the same flag in another environment", () => {
    create();
    expect(world.refusal({ ...plan(), environment: STAGING } as Command, OPERATOR).code).toBeNull();
  });
});

describe("GA-213 a start is refused", () => {
  it.each<[string, string, Partial<RolloutPlanInput>, () => void]>([
    [
      "where the canary has a share already",
      "rollout_canary_has_share",
      {},
      () => world.do(patchOf(FLAG, { fallthrough: { split: { on: 1, off: 99 } } })),
    ],
    ["of a killed flag", "rollout_flag_killed", {}, () => world.do(killOf(FLAG))],
    [
      "outside the release window",
      "outside_release_window",
      { windows: [{ timezone: "Europe/Paris", days: ["mon"] }] },
      () => undefined,
    ],
    ["with a checklist that is not ticked", "checklist_incomplete", { checklist: ["Dashboards"] }, () => undefined],
  ])("%s", (_, code, fields, prepare) => {
    const id = create(fields);
    prepare();
    expect(world.refusal(order(id, "start"), OPERATOR).code).toBe(code);
    expect(rollout(id).state).toBe("pending");
  });

  it("where the control has no share of the scope", () => {
    world.do(
      createFlag("page", { type: "string", variants: { a: { value: "a" }, b: { value: "b" }, c: { value: "c" } } }),
    );
    const command = { ...plan({ canary: "b", control: "c" }), flag: flagKeyOf("page") } as Command;
    const id = world.do(command).decision.audit[0]?.object.key ?? "";
    expect(world.refusal(order(id, "start")).code).toBe("rollout_control_has_no_share");
  });
});

describe("GA-214 a checklist", () => {
  const tick = (id: string, item: string, ticked = true): Command => ({
    type: "tick_checklist",
    environment: PRODUCTION,
    rollout: id,
    item,
    ticked,
    ifVersion: null,
  });

  it("is ticked by name, and is closed by the start", () => {
    const id = create({ checklist: ["Dashboards", "Support told"] });
    world.do(tick(id, "Dashboards"), OPERATOR);
    world.do(tick(id, "Support told"), OPERATOR);
    world.do(tick(id, "Support told", false), OPERATOR);
    expect(rollout(id).checklist).toEqual([
      { item: "Dashboards", by: "release owner", at: world.now },
      { item: "Support told", by: null, at: null },
    ]);
    expect(world.refusal(order(id, "start"), OPERATOR).code).toBe("checklist_incomplete");
    world.do(tick(id, "Support told"), SIGNER);
    world.do(order(id, "start"), OPERATOR);
    expect(world.refusal(tick(id, "Dashboards", false)).code).toBe("transition_not_allowed");
  });

  it("has only the plan's items", () => {
    const id = create({ checklist: ["Dashboards"] });
    expect(world.refusal(tick(id, "Weather"))).toEqual({ code: "invalid_request", paths: ["/item"] });
  });
});

describe("GA-215 who may", () => {
  it.each(["viewer", "server", "client"] as const)("%s: neither plan nor command", (kind) => {
    const id = create();
    for (const command of [plan(), order(id, "start")]) {
      expect(world.refusal(command, actor(kind)).code).toBe("forbidden");
    }
  });

  it.each(["start", "resume", "promote", "rollback", "abort", "approve", "reject", "retry"] as const)(
    "the machine does not %s in a person's name",
    (command) => {
      const id = create();
      if (command !== "start") world.do(order(id, "start"));
      expect(world.refusal(order(id, command), actor("system")).code).toBe("forbidden");
    },
  );

  it("a person does not step in the machine's name", () => {
    const id = create();
    const step = {
      type: "rollout_step",
      environment: PRODUCTION,
      rollout: id,
      basedOn: { rollout: 1, configuration: 1 },
      ruling: {} as never,
      inputs: {},
    } as const;
    for (const kind of ["admin", "operator"] as const) {
      expect(world.refusal(step, actor(kind)).code).toBe("forbidden");
    }
  });

  it("a rollout of another environment is not there", () => {
    const id = create();
    expect(world.refusal(order(id, "start", { environment: STAGING })).code).toBe("rollout_not_found");
    expect(world.refusal(order(id, "start"), actor("operator", [STAGING])).code).toBe("environment_not_found");
  });

  it("a signature needs a role that the stage names, and only that role is kept", () => {
    const id = create({ stages: [{ percent: 10, approval: { roles: ["SRE"] } }, { percent: 100 }] });
    world.do(order(id, "start"), OPERATOR);
    expect(world.refusal(order(id, "approve"), OPERATOR).code).toBe("approval_role_missing");
    world.do(order(id, "approve", { comment: "GO" }), SIGNER);
    expect(rollout(id).signatures).toMatchObject([
      { by: "on-call", roles: ["SRE"], decision: "approve", comment: "GO" },
    ]);
  });
});

describe("GA-216 a command", () => {
  it("is refused with the version that somebody else has changed", () => {
    const id = create();
    expect(world.refusal(order(id, "start", { ifVersion: 7 })).code).toBe("version_mismatch");
    world.do(order(id, "start", { ifVersion: 1 }));
    expect(rollout(id).version).toBe(2);
  });

  it("is in the audit with the flag's change, each under its own name", () => {
    const id = create();
    const { decision } = world.do(order(id, "start"), OPERATOR);
    expect(decision.audit.map(({ action, object }) => [action, object.kind, object.key])).toEqual([
      ["rollout_start", "rollout", id],
      ["rollout_start", "configuration", FLAG],
    ]);
    expect(world.do(order(id, "pause"), OPERATOR).decision.audit).toHaveLength(1);
  });

  it("without a pass takes a comment to promote, and is recorded as forced", () => {
    const id = create();
    world.do(order(id, "start"));
    expect(world.refusal(order(id, "promote")).code).toBe("comment_required");
    world.do(order(id, "promote", { comment: "Support agrees" }));
    expect(world.state.rollouts.get(id)?.latestDecision).toMatchObject({ action: "promote", forced: true });
  });

  it("is announced to the webhooks of the plan", () => {
    const draft = webhookDraft.parse({ name: "releases", url: "http://receiver.internal:8080/" });
    world.do({ type: "create_webhook", draft });
    const id = create({ notify: ["releases"] });
    const { decision } = world.do(order(id, "start"), OPERATOR);
    expect(decision.announcements?.map(({ to, notification }) => [to, notification.kind])).toEqual([
      [["releases"], "rollout.started"],
    ]);
  });
});

describe("GA-217 while a rollout is live", () => {
  it("its flag and its environment cannot be archived", () => {
    const id = create();
    const archive: Command = { type: "archive_flag", flag: FLAG, ifVersion: null };
    const close: Command = { type: "archive_environment", environment: PRODUCTION };
    world.do(order(id, "start"));
    for (const command of [archive, close]) expect(world.refusal(command).code).toBe("rollout_exists");
    world.do(order(id, "abort"));
    for (const command of [archive, close]) expect(world.refusal(command).code).toBeNull();
  });

  it.each([
    ["flag", { type: "archive_flag", flag: FLAG, ifVersion: null }],
    ["environment", { type: "archive_environment", environment: PRODUCTION }],
  ] as const)("and a plan whose %s was archived before it began can only be ended", (noun, archive) => {
    const id = create();
    world.do(archive);
    expect(world.refusal(order(id, "start")).code).toBe(`${noun}_archived`);
    world.do(order(id, "abort"), OPERATOR);
    expect(rollout(id).state).toBe("aborted");
  });

  it("its canary and its control cannot be retired", () => {
    const id = create();
    world.do(order(id, "start"));
    for (const variant of ["on", "off"]) {
      const patch: Command = {
        type: "patch_flag",
        flag: FLAG,
        patch: { variants: { [variant]: null } } as never,
        ifVersion: null,
      };
      expect(world.refusal(patch).code).toBe("variant_in_use");
    }
  });

  it("people may change the split, kill and restore the flag", () => {
    const id = create();
    world.do(order(id, "start"));
    world.do(patchOf(FLAG, { fallthrough: { split: { on: 40, off: 60 } } }), actor("operator"));
    world.do(killOf(FLAG), actor("operator"));
    world.do(restoreOf(FLAG), actor("operator"));
    expect(world.refusal(order(id, "promote", { comment: "on" })).code).toBe("rollout_flag_changed");
  });
});
