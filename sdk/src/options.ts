import type { Platform } from "./ports.ts";
import type { User } from "./types.ts";

/** How a client is made. Each has a default; a misspelled one is refused by name. */
export interface FlagsOptions<Subject = User> {
  /**
   * Address of the server, `https://flags.example.com`. Without one the client is offline: it serves the cache file, the
   * bootstrap object, overrides and code defaults, and says so.
   * @default the variable BUNTING_URL
   */
  readonly url?: string | undefined;
  /**
   * A server token. It fixes the environment.
   * @default the variable BUNTING_TOKEN
   */
  readonly token?: string | undefined;
  /**
   * Maps whatever the application calls a user to what flags are decided for. May run on every evaluation.
   * @default the user itself
   */
  readonly identify?: ((user: Subject) => User) | undefined;
  /**
   * A ruleset to start from where neither network nor cache file has one: what `GET /sdk/v1/ruleset` answered at build time.
   * @default none
   */
  readonly bootstrap?: object | undefined;
  /**
   * Where the last known good state is kept, or false for nowhere. Processes may share it.
   * @default `<XDG_CACHE_HOME or ~/.cache>/bunting/<digest of url and token id>.json`
   */
  readonly cacheFile?: string | false | undefined;
  /**
   * A JSON file `{ "flag": "variant" | "true" | "false" }` that is read again within a second of a change: break-glass
   * without server, dashboard or DNS. It need not exist yet.
   * @default the variable BUNTING_OVERRIDE_FILE
   */
  readonly overrideFile?: string | undefined;
  /**
   * Environment variables, by flag, that override it: for names that exist already.
   * @default {}
   */
  readonly overrideEnv?: Readonly<Record<string, string>> | undefined;
  /**
   * After this long without word from the server evaluations are marked STALE.
   * @default 60000
   */
  readonly staleAfterMs?: number | undefined;
  /**
   * Time between telemetry batches, until the server names another.
   * @default 60000
   */
  readonly flushIntervalMs?: number | undefined;
  /**
   * Stable name of this application instance, shown in receipts. At most 64 printable ASCII characters.
   * @default `<host name>:<process id>`
   */
  readonly instance?: string | undefined;
  /**
   * Allows `http` to a host that is not loopback. The token then travels in clear.
   * @default false
   */
  readonly allowInsecure?: boolean | undefined;
  /**
   * What is to receive a line when somebody has to mend something: the server refuses the token or cannot be reached, an
   * override is none. Each problem at most once an hour. False: nothing is said.
   * @default console.warn
   */
  readonly warn?: false | ((line: string) => void) | undefined;
}

export interface Credentials {
  /** Without a trailing slash, as `http:` or `https:`. */
  readonly origin: string;
  readonly token: string;
}

/** The same, total. */
export interface ResolvedOptions<Subject> {
  /** Null: offline. */
  readonly server: Credentials | null;
  readonly identify: ((user: Subject) => User) | null;
  readonly bootstrap: object | null;
  readonly cacheFile: string | null;
  readonly cacheScope: string;
  readonly overrideFile: string | null;
  readonly overrideEnv: ReadonlyMap<string, string>;
  readonly staleAfterMs: number;
  readonly flushIntervalMs: number;
  readonly instance: string;
  /** Null: nothing is said. */
  readonly warn: ((line: string) => void) | null;
}

const KINDS: { readonly [Name in keyof Required<FlagsOptions>]: (value: unknown) => string | null } = {
  url: text,
  token: text,
  identify: (value) => (typeof value === "function" ? null : "a function"),
  bootstrap: record,
  cacheFile: (value) => (value === false ? null : text(value) && "a path or false"),
  overrideFile: text,
  overrideEnv: record,
  staleAfterMs: duration,
  flushIntervalMs: duration,
  instance: (value) =>
    typeof value === "string" && /^[\x20-\x7e]{1,64}$/.test(value) ? null : "1 to 64 printable ASCII characters",
  allowInsecure: (value) => (typeof value === "boolean" ? null : "true or false"),
  warn: (value) => (value === false || typeof value === "function" ? null : "a function or false"),
};

/** Loose input to one total value, once. Throws where the caller made a mistake that no later event can mend. */
export function resolveOptions<Subject>(options: FlagsOptions<Subject>, platform: Platform): ResolvedOptions<Subject> {
  checkNames(options);
  const { environment, files } = platform;
  const url = options.url ?? (environment.BUNTING_URL || undefined);
  const token = options.token ?? (environment.BUNTING_TOKEN || undefined);
  const server = url === undefined ? null : resolveServer(url, token, options.allowInsecure ?? false);
  const cacheScope = server === null ? "offline" : files.digest(`${server.origin}\n${tokenId(server.token, files)}`);
  const defaultCacheFile =
    server === null || files.cacheFolder === null
      ? null
      : `${files.cacheFolder}/bunting/${cacheScope.slice(0, 32)}.json`;
  return {
    server,
    identify: options.identify ?? null,
    bootstrap: options.bootstrap ?? null,
    cacheFile: options.cacheFile === false ? null : (options.cacheFile ?? defaultCacheFile),
    cacheScope,
    overrideFile: options.overrideFile ?? (environment.BUNTING_OVERRIDE_FILE || null),
    overrideEnv: new Map(Object.entries(options.overrideEnv ?? {})),
    staleAfterMs: options.staleAfterMs ?? 60_000,
    flushIntervalMs: options.flushIntervalMs ?? 60_000,
    instance: options.instance ?? platform.instance,
    warn: options.warn === false ? null : (options.warn ?? ((line) => platform.warn(line))),
  };
}

function checkNames(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    const describe = Object.hasOwn(KINDS, name) ? KINDS[name as keyof typeof KINDS] : undefined;
    if (describe === undefined) {
      const known = Object.keys(KINDS);
      const near = known.find((candidate) => isNear(candidate, name));
      const advice = near === undefined ? `known are ${known.join(", ")}` : `did you mean "${near}"?`;
      throw new TypeError(`Cannot create flags: unknown option "${name}", ${advice}`);
    }
    const expected = value === undefined ? null : describe(value);
    if (expected !== null) {
      throw new TypeError(`Cannot create flags: option "${name}" must be ${expected}, it is ${shown(name, value)}`);
    }
  }
}

function resolveServer(url: string, token: string | undefined, allowInsecure: boolean): Credentials {
  const address = URL.canParse(url) ? new URL(url) : null;
  const secure = address?.protocol === "https:" || address?.protocol === "wss:";
  if (address === null || !(secure || address.protocol === "http:" || address.protocol === "ws:")) {
    throw new TypeError(`Cannot create flags: url must be an http or https address, it is "${url}"`);
  }
  if (address.username !== "" || address.password !== "" || address.search !== "" || address.hash !== "") {
    throw new TypeError("Cannot create flags: url must not hold credentials, a query or a fragment");
  }
  if (!secure && !allowInsecure && !isLoopback(address.hostname)) {
    throw new TypeError(
      `Cannot create flags: url must be https where the host is not loopback, it is "${url}" (allowInsecure permits it)`,
    );
  }
  if (token === undefined) {
    throw new TypeError("Cannot create flags: a url needs a token; pass `token` or set BUNTING_TOKEN");
  }
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new TypeError("Cannot create flags: token holds characters that no token has");
  const path = address.pathname.replace(/\/+$/, "");
  return { origin: `${secure ? "https:" : "http:"}//${address.host}${path}`, token };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

/** The public part of a token; of one in another form a digest, so that no secret reaches a file name. */
function tokenId(token: string, files: Platform["files"]): string {
  return /^bnt_([a-z]+_[0-9A-Za-z]{12})_/.exec(token)?.[1] ?? files.digest(token);
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? null : "a text that is not empty";
}

function record(value: unknown): string | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? null : "an object";
}

function duration(value: unknown): string | null {
  return typeof value === "number" && value >= 1 && value <= 86_400_000 ? null : "milliseconds from 1 to a day";
}

function shown(name: string, value: unknown): string {
  if (name === "token") return "something else";
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? `${value}`
    : typeof value;
}

/** Equal but for case, or one edit apart. */
function isNear(candidate: string, name: string): boolean {
  const [a, b] = [candidate.toLowerCase(), name.toLowerCase()];
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const edited = Math.max(a.length, b.length) - start - end;
  return edited <= 1 || (edited === 2 && a.length === b.length);
}
