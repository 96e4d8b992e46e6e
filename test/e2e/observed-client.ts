import { createFlags, type Flags, type FlagsOptions } from "@bunting/sdk";
import { eventually, type ServerProcess } from "@bunting/testkit";

export interface Applied {
  readonly epoch: string;
  readonly revision: number;
  /** How it arrived: polling fetches the whole state and may therefore pass over revisions. */
  readonly transport: "stream" | "poll" | "none";
}

/** A real SDK that writes down every state it applied, in order: what a test holds against the log. */
export interface ObservedClient {
  readonly flags: Flags;
  readonly applied: readonly Applied[];
  /** Ms from each loss of the stream to the next moment of being live again, on the monotonic clock. */
  readonly outagesMs: readonly number[];
}

export function observe(options: FlagsOptions): ObservedClient {
  const flags = createFlags({ cacheFile: false, warn: false, ...options });
  const applied: Applied[] = [];
  const outagesMs: number[] = [];
  let lostAt: number | null = null;
  flags.on("change", () => {
    const { position, transport } = flags.status();
    const last = applied.at(-1);
    if (position === null || (last?.epoch === position.epoch && last.revision === position.revision)) return;
    applied.push({ ...position, transport });
  });
  flags.on("status", ({ state }) => {
    if (state === "waiting") lostAt ??= performance.now();
    if (state === "live" && lostAt !== null) {
      outagesMs.push(performance.now() - lostAt);
      lostAt = null;
    }
  });
  return { flags, applied, outagesMs };
}

/** Steps that no client may take: back within an epoch, or into an epoch that it has left. */
export function stepsBack({ applied }: ObservedClient): readonly string[] {
  const left = new Set<string>();
  return applied.flatMap(({ epoch, revision }, index) => {
    const before = applied[index - 1];
    if (before && before.epoch !== epoch) left.add(before.epoch);
    const isBack = left.has(epoch) || (before?.epoch === epoch && revision <= before.revision);
    return isBack ? [`${before?.epoch}:${before?.revision} -> ${epoch}:${revision}`] : [];
  });
}

/** Where an environment stands, as the server says. */
export async function headOf(
  server: ServerProcess,
  environment = "production",
): Promise<{ epoch: string; revision: number }> {
  const response = await server.request("GET", `/api/v1/environments/${environment}`);
  const { position } = (await response.json()) as { position: { epoch: string; revision: number } };
  return position;
}

/** Waits until every client holds exactly what the server holds. */
export async function converge(
  server: ServerProcess,
  clients: readonly ObservedClient[],
  withinMs = 45_000,
): Promise<void> {
  const head = await headOf(server);
  await eventually(
    () =>
      clients.every(({ flags }) => {
        const { position } = flags.status();
        return position?.epoch === head.epoch && position.revision === head.revision;
      }),
    { withinMs, what: `${clients.length} clients to reach ${head.epoch}:${head.revision}` },
  );
}

/** Creates a boolean flag with the given share of `on` in production, and fails the test if the server refuses. */
export async function createFlag(server: ServerProcess, key: string, percent = 0): Promise<void> {
  const environments = { production: { fallthrough: { split: { on: percent, off: 100 - percent } } } };
  const response = await server.request("POST", "/api/v1/flags", { key, environments });
  if (response.status !== 201) throw new Error(`Creating ${key}: ${response.status} ${await response.text()}`);
}

export function setPercent(server: ServerProcess, key: string, percent: number): Promise<Response> {
  return server.request(
    "PATCH",
    `/api/v1/environments/production/flags/${key}`,
    { fallthrough: { split: { on: percent, off: 100 - percent } } },
    { "content-type": "application/merge-patch+json" },
  );
}

/** The token of an environment's SDKs. */
export function sdkToken(server: ServerProcess, environment = "production"): string {
  const token = server.firstRun.sdkTokens[environment];
  if (token === undefined) throw new Error(`The first run made no token for ${environment}.`);
  return token;
}
