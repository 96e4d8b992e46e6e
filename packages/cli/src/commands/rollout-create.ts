import { configurationView, flag as flagSchema, type RolloutView, rolloutView } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import {
  collect,
  collectPercents,
  parseCount,
  parseKey,
  parseNumber,
  parsePercents,
  parseRate,
  parseSeconds,
} from "../arguments.ts";
import { usageFailure } from "../failure.ts";
import { renderPlan } from "../output/rollout.ts";
import { paths } from "../paths.ts";
import {
  DEFAULT_BAKE_SECONDS,
  DEFAULT_MAX_ERROR_RATE,
  DEFAULT_STAGES,
  type PlanOptions,
  planOf,
} from "../rollout-plan.ts";
import { readJsonFile, type Session } from "../session.ts";

interface CreateOptions extends PlanOptions {
  readonly plan?: string;
}

export function addRolloutCreateCommand(rollout: Command, action: Action): void {
  rollout
    .command("create")
    .summary("write a plan for a flag; nothing happens before its start")
    .description(
      "Write a plan for a flag. Nothing happens before its start.\nWithout a file and without options: 1, 5, 25, 50 and 100 %, five minutes each, at most 1 % errors and not more than the control.",
    )
    .argument("<flag>", "key of the flag", parseKey)
    .option("--plan <path>", "the whole plan as JSON, - for standard input; no other option goes with it")
    .option("--canary <variant>", "the variant on trial; default the only one that is not the control", parseKey)
    .option("--control <variant>", "what it is compared with and returned to; default the off variant", parseKey)
    .option("--rule <id>", "roll out within this rule; default everyone whom no rule matches", parseKey)
    .option("--stages <percents>", `percentages, rising; default ${DEFAULT_STAGES.join(",")}`, parsePercents)
    .option("--bake <seconds>", `least time in a stage; default ${DEFAULT_BAKE_SECONDS}`, parseCount)
    .option("--approval <percents>", "stages that are left only with an approval", collectPercents)
    .option("--max-error-rate <rate>", `share of errors, 0 to 1; default ${DEFAULT_MAX_ERROR_RATE}`, parseRate)
    .option("--worse-than-control", "roll back if the canary has more errors than the control")
    .option("--max-p99 <ms>", "99th percentile of latency", parseNumber)
    .option("--max-p99-increase <percent>", "how much slower than the control's", parseNumber)
    .option("--min-samples <count>", "outcomes in each arm before anything is said; default 100", parseCount)
    .option("--interval <seconds>", "how often it looks; default 60", parseSeconds)
    .option("--auto-promote", "advance without a person, on evidence")
    .option("--no-auto-rollback", "leave a failure to a person")
    .option("--check <item>", "something to be ticked by name before the start; repeatable", collect)
    .option("--notify <webhook>", "name of a webhook to tell; repeatable", collect)
    .action(action(createRollout));
}

async function createRollout(session: Session, key: string, given: CreateOptions): Promise<void> {
  const { client, output } = session;
  const { plan: file, ...options } = given;
  const environment = session.environment();
  const body = file === undefined ? await planFrom(options, key, environment, session) : planIn(file, options, session);
  const { value } = await client.write({
    method: "POST",
    path: paths.rolloutsOfFlag(environment, key),
    body,
    schema: rolloutView,
  });
  // What the guardrails say in words is in a library that a kill must not wait for.
  const { limitText, namedGuardrails } = await import("@bunting/gating");
  const limits = namedGuardrails(value.plan).map(({ id, guardrail }) => ({
    ...guardrail,
    id,
    limit: limitText(guardrail),
  }));
  output.show(value, (made: RolloutView, theme) =>
    [
      `${theme.paint("good", "✓")} Wrote the plan for ${theme.paint("strong", made.flag)} in ${made.environment}: ${made.plan.canary} against ${made.plan.control}, ${made.id}.`,
      renderPlan(made.plan, limits, theme),
      theme.paint(
        "faint",
        made.plan.checklist.length > 0
          ? `Next: bunting rollout tick ${made.flag} "…" --env ${made.environment}, for each item; then start it.`
          : `Next: bunting rollout start ${made.flag} --env ${made.environment}`,
      ),
    ].join("\n"),
  );
}

async function planFrom(options: PlanOptions, key: string, environment: string, { client }: Session): Promise<object> {
  const [{ value: flag }, { value: configuration }] = await Promise.all([
    client.get(paths.flag(key), flagSchema),
    client.get(paths.configuration(environment, key), configurationView),
  ]);
  const result = planOf(options, flag, configuration);
  if (!result.ok) throw usageFailure(result.detail);
  return result.plan;
}

function planIn(file: string, options: PlanOptions, session: Session): object {
  const { autoRollback, ...others } = options;
  if (autoRollback === false || Object.keys(others).length > 0) {
    throw usageFailure("--plan says everything; no other option goes with it.");
  }
  return readJsonFile(file, session);
}
