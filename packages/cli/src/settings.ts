import { KEY_PATTERN, TOKEN_PATTERN } from "@bunting/contracts";

/** Where a command goes, as whom, and which environment it means. */
export interface Settings {
  /** Without a trailing slash. */
  readonly url: string;
  readonly urlFrom: "--url" | "BUNTING_URL" | "default";
  readonly token: string;
  readonly tokenFrom: "--token-file" | "BUNTING_TOKEN" | "first-run file";
  readonly environment: string;
  readonly environmentFrom: "--env" | "BUNTING_ENVIRONMENT" | "default";
  /** Something a careful person would want to know, such as a token that travels in the clear. */
  readonly warnings: readonly string[];
}

/** Why there are no settings, and what to do. */
export interface SettingsProblem {
  readonly code: "usage" | "no_token";
  readonly detail: string;
  readonly remedy: string;
}

/** The options that every command takes. */
export interface ConnectionOptions {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly env?: string;
}

export interface SettingsSources {
  readonly options: ConnectionOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Undefined if there is no such file. */
  readonly readFile: (path: string) => string | undefined;
}

export type Resolved =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problem: SettingsProblem };

const DEFAULT_PORT = "4242";

/**
 * The nearest source wins: option, environment variable, then what a server on this machine left behind. A token is never an
 * argument, because arguments are visible to every user of the machine and stay in shell histories. The first-run token of
 * this machine is only ever sent to this machine.
 */
export function resolveSettings(sources: SettingsSources): Resolved {
  const { options, env } = sources;
  const address = resolveUrl(options.url, env);
  if (typeof address === "string") return refuse("usage", address, "Give an address like http://127.0.0.1:4242.");
  const environment = resolveEnvironment(options.env, env);
  if (!KEY_PATTERN.test(environment.environment)) {
    return refuse(
      "usage",
      `${environment.environmentFrom} is not the key of an environment.`,
      "`bunting env list` shows the keys.",
    );
  }
  const token = resolveToken(sources, address.isLoopback);
  if ("code" in token) return { ok: false, problem: token };
  return {
    ok: true,
    settings: {
      url: address.url,
      urlFrom: address.from,
      ...token,
      ...environment,
      warnings:
        address.isLoopback || address.url.startsWith("https:")
          ? []
          : [`${address.url} is not encrypted: the token can be read on the way.`],
    },
  };
}

function resolveEnvironment(
  option: string | undefined,
  env: SettingsSources["env"],
): Pick<Settings, "environment" | "environmentFrom"> {
  if (option !== undefined) return { environment: option, environmentFrom: "--env" };
  if (env.BUNTING_ENVIRONMENT) return { environment: env.BUNTING_ENVIRONMENT, environmentFrom: "BUNTING_ENVIRONMENT" };
  return { environment: "production", environmentFrom: "default" };
}

function resolveUrl(
  option: string | undefined,
  env: SettingsSources["env"],
): { url: string; from: Settings["urlFrom"]; isLoopback: boolean } | string {
  const [text, from] =
    option !== undefined
      ? ([option, "--url"] as const)
      : env.BUNTING_URL
        ? ([env.BUNTING_URL, "BUNTING_URL"] as const)
        : ([`http://127.0.0.1:${env.BUNTING_PORT || DEFAULT_PORT}`, "default"] as const);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:")
    return `${from} is not an http or https address: ${text}`;
  if (url.username || url.password || url.search || url.hash) return `${from} holds more than an address.`;
  return { url: `${url.origin}${url.pathname.replace(/\/+$/, "")}`, from, isLoopback: isLoopback(url.hostname) };
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function resolveToken(
  { options, env, readFile }: SettingsSources,
  serverIsHere: boolean,
): Pick<Settings, "token" | "tokenFrom"> | SettingsProblem {
  if (options.tokenFile !== undefined) {
    const text = readFile(options.tokenFile);
    if (text === undefined)
      return {
        code: "usage",
        detail: `There is no file ${options.tokenFile}.`,
        remedy: "--token-file names a file that holds a token.",
      };
    return checked(text.trim(), "--token-file");
  }
  if (env.BUNTING_TOKEN) return checked(env.BUNTING_TOKEN.trim(), "BUNTING_TOKEN");

  const path = `${env.BUNTING_DATA_DIR || "./data"}/first-run.json`;
  if (serverIsHere) {
    const token = firstRunToken(readFile(path));
    if (token !== undefined) return checked(token, "first-run file");
  }
  return {
    code: "no_token",
    detail: serverIsHere
      ? `No token: BUNTING_TOKEN is not set, and there is no ${path}.`
      : "No token: BUNTING_TOKEN is not set.",
    remedy:
      "Set BUNTING_TOKEN, or name a file with --token-file. On the server's machine, run in its folder or set BUNTING_DATA_DIR.",
  };
}

/** Something else than a token stays here: it may be a secret of another service. */
function checked(token: string, from: Settings["tokenFrom"]): Pick<Settings, "token" | "tokenFrom"> | SettingsProblem {
  if (TOKEN_PATTERN.test(token)) return { token, tokenFrom: from };
  return {
    code: "no_token",
    detail: `What stands in ${from} is not a Bunting token.`,
    remedy: "A token looks like bnt_admin_…; `bunting token create` makes one.",
  };
}

function firstRunToken(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    const { adminToken } = JSON.parse(text) as { adminToken?: unknown };
    return typeof adminToken === "string" ? adminToken : undefined;
  } catch {
    return undefined;
  }
}

function refuse(code: SettingsProblem["code"], detail: string, remedy: string): Resolved {
  return { ok: false, problem: { code, detail, remedy } };
}
