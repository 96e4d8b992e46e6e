import {
  type ConfigurationView,
  configurationView,
  type Environment,
  type Exposures,
  environmentPage,
  exposuresResponse,
  type Flag,
  flag as flagSchema,
} from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseKey } from "../arguments.ts";
import { renderConfiguration, stateOf } from "../output/configuration.ts";
import { renderDefinition } from "../output/definition.ts";
import type { Theme } from "../output/theme.ts";
import { counted, formatCount, formatInstant } from "../output/words.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";

interface ShownEnvironment {
  readonly environment: string;
  readonly connectedInstances: number;
  readonly configuration: ConfigurationView;
  /** As the SDKs report them; null where the server counts none. */
  readonly exposures: Exposures | null;
}

interface ShownFlag {
  readonly flag: Flag;
  readonly environments: readonly ShownEnvironment[];
}

export function addFlagShowCommand(flag: Command, action: Action): void {
  flag
    .command("show")
    .summary("show a flag in every environment")
    .description(
      "Show a flag: its definition, and per environment (or the one of --env) who gets what, and how many instances are connected.",
    )
    .argument("<flag>", "key of the flag", parseKey)
    .action(action(showFlag));
}

async function showFlag(session: Session, key: string): Promise<void> {
  const { client, output, settings } = session;
  const [{ value: flag }, environments] = await Promise.all([
    client.get(paths.flag(key), flagSchema),
    client.list(paths.environments, environmentPage),
  ]);
  // Nobody is served an archived flag, whatever its configurations still say.
  const wanted = environments.filter(
    (environment) =>
      flag.archivedAt === null &&
      environment.archivedAt === null &&
      (settings.environmentFrom === "default" || environment.key === settings.environment),
  );
  const shown = await Promise.all(wanted.map((environment) => showEnvironment(session, flag, environment)));
  output.show({ flag, environments: shown.filter((each) => each !== undefined) }, renderFlag);
}

/** Undefined where the environment does not have the flag any more. */
async function showEnvironment(
  { client }: Session,
  flag: Flag,
  environment: Environment,
): Promise<ShownEnvironment | undefined> {
  const configuration = await client.find(paths.configuration(environment.key, flag.key), configurationView);
  if (!configuration) return undefined;
  const exposures = await client.find(paths.exposures(environment.key, flag.key), exposuresResponse);
  return {
    environment: environment.key,
    connectedInstances: environment.connectedInstances,
    configuration: configuration.value,
    exposures: exposures?.value ?? null,
  };
}

function renderFlag({ flag, environments }: ShownFlag, theme: Theme): string {
  return [
    `${theme.paint("strong", flag.key)}\n${renderDefinition(flag, theme)}`,
    ...(flag.archivedAt === null ? [] : ["Nobody is served it: SDKs answer with the caller's default."]),
    ...environments.map((shown) => renderEnvironment(shown, Object.keys(flag.variants), theme)),
  ].join("\n\n");
}

function renderEnvironment(
  { environment, connectedInstances, configuration, exposures }: ShownEnvironment,
  variants: readonly string[],
  theme: Theme,
): string {
  const served = Object.entries(exposures?.variants ?? {}).map(
    ([variant, count]) => `${variant} ${formatCount(count)}`,
  );
  const since = exposures ? formatInstant(new Date(exposures.sinceMs).toISOString()) : "";
  return [
    `${theme.paint("strong", environment)}  ${stateOf(configuration, theme)}  ${theme.paint(
      "faint",
      `version ${configuration.version}, ${counted(connectedInstances, "instance")}`,
    )}`,
    indented(renderConfiguration(configuration, variants, theme)),
    ...(served.length === 0
      ? []
      : [indented(`${theme.paint("faint", `served since ${since} UTC`)}  ${served.join(", ")}`)]),
  ].join("\n");
}

function indented(text: string): string {
  return text.replace(/^/gm, "  ");
}
