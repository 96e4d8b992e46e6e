import type { EnvironmentKey } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import type { Actor } from "../ledger/command.ts";
import { actor, PRODUCTION, STAGING } from "../ledger/ledger-fixture.ts";
import { type Action, permits, type Scope, within } from "./permission.ts";

const KINDS = ["admin", "operator", "viewer", "server", "client", "system"] as const;

/** Which kinds of token may, written out a second time: a change of the rule has to be made twice, on purpose. */
const MAY: Readonly<Record<Action, readonly Actor["kind"][]>> = {
  create_environment: ["admin", "system"],
  archive_environment: ["admin", "system"],
  create_flag: ["admin", "system"],
  patch_flag: ["admin", "system"],
  archive_flag: ["admin", "system"],
  put_configuration: ["admin", "operator"],
  patch_configuration: ["admin", "operator"],
  kill: ["admin", "operator"],
  restore: ["admin", "operator"],
  reshuffle: ["admin"],
  create_rollout: ["admin", "operator"],
  rollout_command: ["admin", "operator", "system"],
  tick_checklist: ["admin", "operator"],
  rollout_step: ["system"],
  put_segment: ["admin", "system"],
  delete_segment: ["admin", "system"],
  create_token: ["admin", "system"],
  revoke_token: ["admin", "system"],
  create_webhook: ["admin"],
  rotate_webhook: ["admin"],
  patch_webhook: ["admin"],
  redeliver: ["admin"],
  test_webhook: ["admin"],
  delete_webhook: ["admin"],
  back_up: ["admin"],
  read: ["admin", "operator", "viewer", "system"],
  read_self: ["admin", "operator", "viewer", "server", "client"],
  read_tokens: ["admin"],
  read_webhooks: ["admin"],
  read_metrics: ["admin", "operator", "viewer", "system"],
  post_gauge: ["admin", "operator"],
  export: ["admin"],
  download_backup: ["admin"],
  verify_audit: ["admin", "operator", "viewer", "system"],
  subscribe: ["server"],
};

const ACTIONS = Object.keys(MAY) as Action[];
const SCOPES: readonly Scope[] = [PRODUCTION, STAGING, "all", "any"];
const LIMITS: readonly (readonly EnvironmentKey[] | null)[] = [null, [PRODUCTION]];

describe("GV-01 the matrix of kind, action and environment", () => {
  const cells = KINDS.flatMap((kind) =>
    LIMITS.flatMap((environments) => SCOPES.map((scope) => ({ kind, environments, scope }))),
  );

  /** Null: permitted. */
  const expected = (action: Action, { kind, environments, scope }: (typeof cells)[number]): string | null => {
    if (!MAY[action].includes(kind)) return "forbidden";
    if (environments === null || scope === "any" || scope === PRODUCTION) return null;
    // An environment that is not the token's does not exist for it; what touches all of them is plainly forbidden.
    return scope === "all" ? "forbidden" : "environment_not_found";
  };

  it.each(ACTIONS)("%s: each kind of token, limited or not, in its own and another environment", (action) => {
    const table = (decide: (cell: (typeof cells)[number]) => string | null) =>
      cells.map((cell) => [cell.kind, cell.environments, cell.scope, decide(cell)]);
    const decided = table(
      ({ kind, environments, scope }) => permits(actor(kind, environments), action, scope)?.code ?? null,
    );
    expect(decided).toEqual(table((cell) => expected(action, cell)));
  });
});

describe("the scope of a token", () => {
  it.each([
    [null, null, true],
    [null, [PRODUCTION], true],
    [[PRODUCTION], null, false],
    [[PRODUCTION], [PRODUCTION], true],
    [[PRODUCTION], [STAGING], false],
    [[PRODUCTION, STAGING], [STAGING], true],
    [[PRODUCTION], [PRODUCTION, STAGING], false],
  ])("of %j covers %j: %s", (mine, theirs, expected) => {
    expect(within(mine, theirs)).toBe(expected);
  });
});

describe("GA-215 who may not command rollouts is told so", () => {
  it("in words that begin with a verb, like every other refusal", () => {
    expect(permits(actor("viewer", null), "rollout_command", "any")?.detail).toBe(
      "A token of kind viewer may not command rollouts; admin or operator may.",
    );
  });
});
