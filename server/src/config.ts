import path from "node:path";
import { z } from "zod";
import { LOG_LEVELS, type LogLevel } from "./ops/log.ts";
import { parseAllowedHost } from "./webhooks/address.ts";

/** Everything that can be set from outside. */
export interface Config {
  readonly port: number;
  readonly host: string;
  readonly dataDir: string;
  readonly publicUrl: string | null;
  readonly logLevel: LogLevel;
  readonly logFormat: "auto" | "json" | "text";
  readonly trustedProxies: number;
  readonly tokenPepper: string | null;
  /** Seals the secrets of webhooks; null: the key in the data folder. */
  readonly secretKey: string | null;
  /** `host:port` pairs that requests of the server may go to though they are private or not https. */
  readonly outgoingAllow: ReadonlySet<string>;
  readonly metricsOpen: boolean;
  readonly docs: boolean;
  readonly prometheusUrl: string | null;
  readonly prometheusAuthorization: string | null;
  readonly prometheusAuthorizationFile: string | null;
  /** What was found strange but not wrong: to be logged at the start. */
  readonly warnings: readonly string[];
}

type Values = Omit<Config, "warnings">;

interface Setting<Value> {
  readonly variable: `BUNTING_${string}`;
  /** As it stands in the documentation. */
  readonly default: string;
  readonly meaning: string;
  /** What a wrong value should have been. */
  readonly expected: string;
  readonly schema: z.ZodType<Value, string | undefined>;
}

const whole = (minimum: number, maximum: number) =>
  z
    .string()
    .regex(/^[0-9]{1,9}$/)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum);

const onOrOff = z
  .enum(["on", "off", "true", "false", "1", "0"])
  .transform((text) => ["on", "true", "1"].includes(text));

/** A header's value that names its scheme: control characters are none of it. */
export const AUTHORIZATION = /^(?:Bearer|Basic) [\x21-\x7e]+$/;

/** The one table: docs/reference/configuration.md shows it, and a test holds the two together. */
export const SETTINGS: { readonly [Name in keyof Values]: Setting<Values[Name]> } = {
  port: {
    variable: "BUNTING_PORT",
    default: "4242",
    meaning: "Port to listen on. 0 takes any free one.",
    expected: "a number from 0 to 65535",
    schema: whole(0, 65_535).default(4242),
  },
  host: {
    variable: "BUNTING_HOST",
    default: "127.0.0.1",
    meaning: "Address to listen on. Anything but this machine's own should stand behind TLS.",
    expected: "an address or a host name, such as 127.0.0.1 or 0.0.0.0",
    schema: z
      .string()
      .regex(/^[0-9A-Za-z.:_-]+$/)
      .default("127.0.0.1"),
  },
  dataDir: {
    variable: "BUNTING_DATA_DIR",
    default: "./data",
    meaning: "Folder of the database. Created if it is missing.",
    expected: "a folder",
    schema: z
      .string()
      .default("data")
      .transform((folder) => path.resolve(folder)),
  },
  publicUrl: {
    variable: "BUNTING_PUBLIC_URL",
    default: "",
    meaning: "How others reach this server. Printed at the start and named in /openapi.json.",
    expected: "an address such as https://flags.example.com, without a path",
    schema: z
      .string()
      .refine(isOrigin)
      .transform((text) => new URL(text).origin)
      .optional()
      .transform((url) => url ?? null),
  },
  logLevel: {
    variable: "BUNTING_LOG_LEVEL",
    default: "info",
    meaning: "Least important kind of event that is logged.",
    expected: `one of ${LOG_LEVELS.join(", ")}`,
    schema: z.enum(LOG_LEVELS).default("info"),
  },
  logFormat: {
    variable: "BUNTING_LOG_FORMAT",
    default: "auto",
    meaning: "`json` writes one JSON line per event, `text` one for people; `auto` chooses `text` on a terminal.",
    expected: "one of auto, json, text",
    schema: z.enum(["auto", "json", "text"]).default("auto"),
  },
  trustedProxies: {
    variable: "BUNTING_TRUSTED_PROXIES",
    default: "0",
    meaning:
      "How many proxies of yours stand before this server, each appending to X-Forwarded-For. Failed authentications are " +
      "counted against the address they report.",
    expected: "a number from 0 to 10",
    schema: whole(0, 10).default(0),
  },
  tokenPepper: {
    variable: "BUNTING_TOKEN_PEPPER",
    default: "",
    meaning:
      "Secret that is mixed into the stored digests of tokens, so that a stolen database cannot even check a token. Set it " +
      "before the first start: tokens that were made without it, or with another, stop working.",
    expected: "at least 16 characters",
    schema: z
      .string()
      .min(16)
      .optional()
      .transform((pepper) => pepper ?? null),
  },
  secretKey: {
    variable: "BUNTING_SECRET_KEY",
    default: "",
    meaning:
      "Key that encrypts the addresses and secrets of webhooks in the database: long and random, as `openssl rand -base64 32` " +
      "makes it. Left out, a key is kept in the file `secret.key` of the data folder. What was encrypted under one key does " +
      "not open under another.",
    expected: "at least 32 characters",
    schema: z
      .string()
      .min(32)
      .optional()
      .transform((key) => key ?? null),
  },
  outgoingAllow: {
    variable: "BUNTING_OUTGOING_ALLOW",
    default: "",
    meaning:
      "Where requests of the server may go beside public https addresses: exact `host:port` pairs, separated by commas, such " +
      "as `hooks.internal:8443,10.0.0.5:9090`. There, http and private addresses are allowed too.",
    expected: "host:port pairs, separated by commas, such as hooks.internal:8443,[fd00::5]:9090",
    schema: z
      .string()
      .default("")
      .transform((text) => text.split(",").map((pair) => pair.trim()))
      .transform((pairs) => pairs.filter((pair) => pair !== "").map(parseAllowedHost))
      .refine((hosts) => hosts.every((host) => host !== null))
      .transform((hosts): ReadonlySet<string> => new Set(hosts.filter((host) => host !== null))),
  },
  metricsOpen: {
    variable: "BUNTING_METRICS_OPEN",
    default: "off",
    meaning: "Whether /metrics answers without a token. Only while BUNTING_HOST is this machine's own address.",
    expected: "on or off",
    schema: onOrOff.default(false),
  },
  docs: {
    variable: "BUNTING_DOCS",
    default: "on",
    meaning: "Whether /docs and /openapi.json are served. They need no token and say nothing of this installation.",
    expected: "on or off",
    schema: onOrOff.default(true),
  },
  prometheusUrl: {
    variable: "BUNTING_PROMETHEUS_URL",
    default: "",
    meaning:
      'The Prometheus that guardrails with `source: "prometheus"` are asked of. Only this address is ever asked, whatever a plan ' +
      "says; without it such guardrails hold.",
    expected: "an address such as http://prometheus.internal:9090, without a password, a query or a fragment",
    schema: z
      .string()
      .refine(isBaseUrl)
      .transform((text) => new URL(text).href.replace(/\/+$/, ""))
      .optional()
      .transform((url) => url ?? null),
  },
  prometheusAuthorization: {
    variable: "BUNTING_PROMETHEUS_AUTHORIZATION",
    default: "",
    meaning: "What is sent to Prometheus as the header Authorization.",
    expected: "`Bearer` or `Basic`, a blank, and the credentials",
    schema: z
      .string()
      .regex(AUTHORIZATION)
      .optional()
      .transform((value) => value ?? null),
  },
  prometheusAuthorizationFile: {
    variable: "BUNTING_PROMETHEUS_AUTHORIZATION_FILE",
    default: "",
    meaning: "A file that holds the same, read anew at each query. Not together with the variable.",
    expected: "a file",
    schema: z
      .string()
      .transform((file) => path.resolve(file))
      .optional()
      .transform((file) => file ?? null),
  },
};

/** Whether a text is an http or https address and nothing beside: no path, no query, nobody's password. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, pathname, search, hash, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && pathname === "/" && `${search}${hash}${username}${password}` === "";
}

/** Whether a text is an http or https address that a path can be appended to. */
function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, search, hash, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && `${search}${hash}${username}${password}` === "" && !/[?#@]/.test(text);
}

/** A setting that cannot be used. The message names each variable and what to write instead; values are not repeated. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Of other programs: the command line and the SDK. */
const FOREIGN = /^BUNTING_(?:URL|TOKEN|ENVIRONMENT|FLAG_.+|INSTANCE|OVERRIDE.*)$/;

/** An empty variable counts as one that is not set. Throws {@link ConfigError}. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const read = <Name extends keyof Values>(name: Name): Values[Name] => {
    const { variable, schema, expected } = SETTINGS[name];
    const parsed = schema.safeParse(environment[variable]?.trim() || undefined);
    if (parsed.success) return parsed.data;
    problems.push(`${variable} must be ${expected}.`);
    return undefined as never;
  };
  const values: Values = {
    port: read("port"),
    host: read("host"),
    dataDir: read("dataDir"),
    publicUrl: read("publicUrl"),
    logLevel: read("logLevel"),
    logFormat: read("logFormat"),
    trustedProxies: read("trustedProxies"),
    tokenPepper: read("tokenPepper"),
    secretKey: read("secretKey"),
    outgoingAllow: read("outgoingAllow"),
    metricsOpen: read("metricsOpen"),
    docs: read("docs"),
    prometheusUrl: read("prometheusUrl"),
    prometheusAuthorization: read("prometheusAuthorization"),
    prometheusAuthorizationFile: read("prometheusAuthorizationFile"),
  };
  if (values.prometheusAuthorization && values.prometheusAuthorizationFile) {
    problems.push("BUNTING_PROMETHEUS_AUTHORIZATION must be empty where BUNTING_PROMETHEUS_AUTHORIZATION_FILE is set.");
  }
  if (problems.length === 0 && values.metricsOpen && !isLoopback(values.host)) {
    problems.push(
      "BUNTING_METRICS_OPEN must be off unless BUNTING_HOST is 127.0.0.1, ::1 or localhost: give Prometheus a viewer token.",
    );
  }
  if (problems.length > 0) throw new ConfigError(problems.join(" "));
  return { ...values, warnings: [...unknownVariables(environment), ...exposure(values)] };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function exposure({ host, trustedProxies, publicUrl }: Values): string[] {
  if (isLoopback(host) || trustedProxies > 0 || publicUrl?.startsWith("https:")) return [];
  return [
    `${host} is reachable from elsewhere: tokens travel in clear text unless a proxy with TLS stands before this server.`,
  ];
}

function unknownVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = Object.values(SETTINGS).map(({ variable }) => variable as string);
  return Object.keys(environment)
    .filter((name) => name.startsWith("BUNTING_") && !known.includes(name) && !FOREIGN.test(name))
    .map((name) => {
      const [meant] = known
        .map((variable) => ({ variable, distance: editDistance(variable, name) }))
        .filter(({ distance }) => distance <= 3)
        .sort((one, other) => one.distance - other.distance);
      return `The variable ${name} is not known here and has no effect.${meant ? ` Did you mean ${meant.variable}?` : ""}`;
    });
}

/** Levenshtein. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
