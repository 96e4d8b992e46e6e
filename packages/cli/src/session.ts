import type { Json } from "@bunting/contracts";
import { type Client, createClient } from "./client.ts";
import { EXIT_CODES } from "./exit-code.ts";
import { Failure, usageFailure } from "./failure.ts";
import { createOutput, type Output } from "./output/output.ts";
import { type ConnectionOptions, resolveSettings, type Settings } from "./settings.ts";
import type { World } from "./world.ts";

/** The options of `bunting` itself, good for every command. */
export interface GlobalOptions extends ConnectionOptions {
  readonly json?: boolean;
  /** False with `--no-color`. */
  readonly color: boolean;
}

/** One command under way: where it goes and where its words go. */
export interface Session {
  readonly world: World;
  readonly output: Output;
  readonly settings: Settings;
  readonly client: Client;
  /** The environment this command is about. Says which one, unless the caller did. */
  environment(): string;
}

export function openOutput(options: GlobalOptions, world: World): Output {
  return createOutput({ json: options.json === true, color: options.color }, world);
}

export function openSession(options: GlobalOptions, world: World, output: Output): Session {
  const resolved = resolveSettings({ options, env: world.env, readFile: (path) => world.readFile(path) });
  if (!resolved.ok) {
    const { code } = resolved.problem;
    throw new Failure(code === "usage" ? EXIT_CODES.usage : EXIT_CODES.unauthorised, resolved.problem);
  }
  const { settings } = resolved;
  for (const warning of settings.warnings) output.warn(warning);
  return {
    world,
    output,
    settings,
    client: createClient(settings, world),
    environment() {
      if (settings.environmentFrom === "default") {
        output.say((theme) =>
          theme.paint(
            "faint",
            `Environment ${settings.environment}, the default: --env or BUNTING_ENVIRONMENT names another.`,
          ),
        );
      }
      return settings.environment;
    },
  };
}

/** Why, as the audit will keep it: given, or asked for where somebody can answer. */
export async function reasonFor(
  given: string | undefined,
  asked: { readonly question: string; readonly example: string; readonly option?: string },
  { world }: Session,
): Promise<string> {
  const { question, example, option = "--reason" } = asked;
  const reason = given ?? (world.isInteractive ? await world.ask(question, { placeholder: example }) : undefined);
  if (reason?.trim()) return reason.trim();
  throw usageFailure("A reason is required: it goes into the audit.", `Add ${option} "…".`);
}

/** For what cannot be taken back. */
export async function confirmed(given: boolean | undefined, question: string, { world }: Session): Promise<void> {
  if (given) return;
  if (!world.isInteractive)
    throw usageFailure("This cannot be taken back, and nobody is there to confirm it.", "Add --yes.");
  if (!(await world.confirm(question))) throw usageFailure("Left as it is.");
}

/** Text of a file, or of standard input for `-`. */
export function readGivenFile(path: string, { world }: Pick<Session, "world">): string {
  const text = world.readFile(path);
  if (text === undefined) throw usageFailure(`There is no file ${path}.`);
  return text;
}

export function readJsonFile(path: string, session: Pick<Session, "world">): Record<string, unknown> {
  return parseObject(readGivenFile(path, session), path === "-" ? "What came on standard input" : path);
}

/** An object as it is typed, or in a file. What looks like JSON is JSON; a file of such a name is `./{…`. */
export function readJsonArgument(
  given: string,
  session: Pick<Session, "world">,
  option: string,
): Record<string, unknown> {
  if (/^\s*[[{"]/.test(given)) return parseObject(given, `The JSON of ${option}`);
  if (given !== "-" && session.world.readFile(given) === undefined) {
    throw usageFailure(
      `${option} is no JSON object, and there is no file ${given}.`,
      `Write JSON in single quotes, ${option} '{"key":"u-1"}', or name a file, or - for standard input.`,
    );
  }
  return readJsonFile(given, session);
}

export function parseJson(text: string, source: string): Json {
  if (text.trim() === "") throw usageFailure(`${source} is not JSON: it is empty.`);
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw usageFailure(`${source} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseObject(text: string, source: string): Record<string, unknown> {
  const value = parseJson(text, source);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw usageFailure(`${source} is not a JSON object.`);
  return value;
}
