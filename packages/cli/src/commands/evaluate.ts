import { evaluateResponse, type Json } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { type Assignment, attributesOf, collectAssignments, collectKeys } from "../arguments.ts";
import { usageFailure } from "../failure.ts";
import { type ExplainedFlag, renderEvaluation } from "../output/trace.ts";
import { paths } from "../paths.ts";
import { readJsonArgument, type Session } from "../session.ts";

interface EvaluateOptions {
  readonly key?: string;
  readonly attr?: readonly Assignment[];
  readonly context?: string;
  readonly explain?: boolean;
}

export function addEvaluateCommand(program: Command, action: Action): void {
  program
    .command("evaluate")
    .summary("decide flags for one context, and say why")
    .description("Decide flags for one context, as an SDK would, and say why. Nothing is counted.")
    .argument("[flags...]", "keys of flags; all of them if none is named", collectKeys)
    .option("--key <key>", "targeting key, such as a user's id")
    .option(
      "--attr <name=value>",
      "an attribute; true, 12 and JSON are what they look like; repeatable",
      collectAssignments,
    )
    .option(
      "--context <json or path>",
      "the context: a JSON object, a file of one, or - for standard input; --key and --attr add to it",
    )
    .option("--explain", "every step of the decision as a tree")
    .action(action(evaluate));
}

async function evaluate(session: Session, flags: readonly string[], options: EvaluateOptions): Promise<void> {
  const { client, output } = session;
  const context = contextOf(options, session);
  const environment = session.environment();
  const { value } = await client.write({
    method: "POST",
    path: paths.evaluate(environment),
    body: { context, ...(flags.length > 0 && { flags }) },
    schema: evaluateResponse,
  });
  const evaluated = Object.entries(value.flags as Readonly<Record<string, ExplainedFlag>>);
  output.show(
    { environment, position: value.position, flags: Object.fromEntries(evaluated) },
    ({ flags, position }, theme) =>
      [
        ...Object.entries(flags).map(([key, result]) =>
          renderEvaluation(key, result, { withTrace: options.explain === true }, theme),
        ),
        theme.paint("faint", `${environment}, revision ${position.revision}`),
      ].join(options.explain ? "\n\n" : "\n"),
  );
}

function contextOf({ key, attr, context }: EvaluateOptions, session: Session): Record<string, Json> {
  const attributes = attributesOf(attr ?? []);
  if (key !== undefined && Object.hasOwn(attributes, "key"))
    throw usageFailure("Give the targeting key once: --key, or --attr key=….");
  return {
    ...(context !== undefined && (readJsonArgument(context, session, "--context") as Record<string, Json>)),
    ...attributes,
    ...(key !== undefined && { key }),
  };
}
