import path from "node:path";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { forPeople } from "./ops/log.ts";
import { type RunningServer, startServer } from "./server.ts";
import { StartupError } from "./startup-error.ts";

/** The process, as far as running a server touches it. */
export interface Host {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdout: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Calls back at each SIGTERM and SIGINT. */
  readonly onStopSignal: (listener: () => void) => void;
  /** Milliseconds that never go back. */
  readonly monotonic: () => number;
}

const SAME_SIGNAL_MS = 500;

/** Exit codes: 0 stopped as asked, 1 could not start or was stopped by force, 2 a setting is wrong. */
export type ServerExitCode = 0 | 1 | 2;

/**
 * Runs a server until it is told to stop, and resolves with the exit code. Says on stderr what it is doing, in sentences; the
 * log goes to stdout. A second signal does not wait for anybody.
 */
export async function runServer({
  environment,
  stdout,
  stderr,
  onStopSignal,
  monotonic,
}: Host): Promise<ServerExitCode> {
  const say = (sentence: string): void => void stderr.write(`${sentence}\n`);
  let config: Config;
  try {
    config = readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    say(`Bunting cannot start. ${error.message}`);
    return 2;
  }

  const isText = config.logFormat === "text" || (config.logFormat === "auto" && stdout.isTTY === true);
  const write = (line: string): void => void stdout.write(isText ? forPeople(line) : line);
  const { stop, force } = countSignals(onStopSignal, monotonic);
  say(`Bunting opens its database in ${config.dataDir}.`);
  let server: RunningServer;
  try {
    server = await startServer(config, write);
  } catch (error) {
    say(`Bunting cannot start. ${reasonNotToStart(error, config)}`);
    return 1;
  }

  const { firstRun, url } = server;
  if (firstRun) {
    say(`This is the first start. The admin token, shown this once: ${firstRun.adminToken}`);
    say(
      `It and a token for the SDKs of each environment are in ${path.join(config.dataDir, "first-run.json")}. Keep them and delete the file.`,
    );
  }
  const publicly = config.publicUrl ? `, which others reach as ${config.publicUrl}` : "";
  say(`Bunting serves ${url}${publicly}${config.docs ? `; the API is at ${url}/docs` : ""}. Ctrl-C stops it.`);

  await stop;
  say("Bunting stops: it sends streams elsewhere and answers what was asked. A second signal does not wait.");
  const end = await Promise.race([server.close(), force]);
  say(end === "forced" ? "Bunting was stopped by force." : "Bunting has stopped.");
  return end === "forced" ? 1 : 0;
}

/**
 * The first signal asks to stop, the next one forces it. Those within half a second of the first are the first: a terminal,
 * and systemd, signal npm, the script that it runs and us, and both of them pass theirs on.
 */
function countSignals(
  onStopSignal: Host["onStopSignal"],
  monotonic: Host["monotonic"],
): {
  readonly stop: Promise<void>;
  readonly force: Promise<"forced">;
} {
  let firstAt: number | null = null;
  let stopNow = (): void => {};
  let forceNow = (): void => {};
  const stop = new Promise<void>((resolve) => {
    stopNow = resolve;
  });
  const force = new Promise<"forced">((resolve) => {
    forceNow = () => resolve("forced");
  });
  onStopSignal(() => {
    firstAt ??= monotonic();
    stopNow();
    if (monotonic() - firstAt >= SAME_SIGNAL_MS) forceNow();
  });
  return { stop, force };
}

/** In one or two sentences, with what to do. Only a defect comes with its stack. */
function reasonNotToStart(error: unknown, { host, port }: Config): string {
  if (error instanceof StartupError) return error.message;
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "EADDRINUSE":
      return `Port ${port} on ${host} is taken. Stop what listens there, or set BUNTING_PORT to another.`;
    case "EACCES":
      return `This user may not listen on port ${port}. Set BUNTING_PORT to one above 1023.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return `This machine has no address ${host}. Set BUNTING_HOST to one it has, such as 127.0.0.1.`;
    case "ERR_DLOPEN_FAILED":
      return `better-sqlite3 was built for another Node.js than ${process.version}. Install again with this one.`;
    default:
      return `This is a defect: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}
