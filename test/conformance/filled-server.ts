import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { RulesetFlag, RulesetServe } from "@bunting/contracts";
import { BUCKET_COUNT } from "@bunting/contracts/literals";
import { createServer, readConfig } from "@bunting/server";
import { Registry } from "prom-client";
import type { CaseFile } from "./load.ts";

/** A real server whose production environment holds a case file, written through the admin API. */
export interface FilledServer {
  readonly url: string;
  readonly adminToken: string;
  readonly sdkToken: string;
  /** Flags that are not there, with the code of the refusal or {@link A_HISTORY}. Rulesets may hold them. */
  readonly refused: ReadonlyMap<string, string>;
  close(): Promise<void>;
}

/** Ranges that one split does not make, only a sequence of them: the vectors of `allocate` have those. */
export const A_HISTORY = "made by a history of splits";

export async function startFilledServer(file: CaseFile): Promise<FilledServer> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), "bunting-conformance-"));
  const salts = new SaltSource();
  const server = createServer({
    config: readConfig({ BUNTING_DATA_DIR: dataDir, BUNTING_PORT: "0", BUNTING_LOG_LEVEL: "silent" }),
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    scheduler: {
      after: (delayMs, task) => cancelled(setTimeout(task, delayMs)),
      every: (intervalMs, task) => cancelled(setInterval(task, intervalMs)),
      soon: (task) => void setImmediate(task),
    },
    random: salts,
    logger: SILENT,
    registry: new Registry(),
    node: "conformance",
  });
  const url = `http://127.0.0.1:${await server.listen()}`;
  const adminToken = server.firstRun?.adminToken ?? "";
  const send = (method: string, at: string, body: unknown): Promise<Response> =>
    fetch(url + at, {
      method,
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const must = async (response: Response): Promise<void> => {
    if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  };

  for (const { key, when } of file.segments) await must(await send("PUT", `/api/v1/segments/${key}`, { when }));
  const refused = new Map<string, string>();
  for (const flag of prerequisitesFirst(file.flags)) {
    if (hasHistory(flag)) {
      refused.set(flag.key, A_HISTORY);
      continue;
    }
    salts.next32 = flag.salt;
    const response = await send("POST", "/api/v1/flags", draftOf(flag));
    if (!response.ok) refused.set(flag.key, ((await response.json()) as { code: string }).code);
    else if (flag.killed) {
      await must(
        await send("POST", `/api/v1/environments/production/flags/${flag.key}/kill`, { reason: "as the case says" }),
      );
    }
  }

  return {
    url,
    adminToken,
    sdkToken: server.firstRun?.sdkTokens.production ?? "",
    refused,
    async close() {
      await server.close();
      await rm(dataDir, { recursive: true });
    },
  };
}

/** Real randomness, except that the salt of the flag to be created next is the case's. */
class SaltSource {
  next32 = 0;

  next(): number {
    return randomBytes(4).readUInt32BE() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    if (count !== 4) return randomBytes(count);
    const salt = Buffer.alloc(4);
    salt.writeUInt32BE(this.next32);
    return salt;
  }
}

/** What a person would have written to get this entry. */
function draftOf(flag: RulesetFlag): unknown {
  const { enabled, offVariant, bucketBy, pins, prerequisites } = flag;
  const rules = flag.rules.map((rule) => ({ ...rule, serve: serveOf(rule.serve) }));
  const production = {
    enabled,
    offVariant,
    bucketBy,
    pins,
    prerequisites,
    rules,
    fallthrough: serveOf(flag.fallthrough),
  };
  const { key, type, variants, metadata } = flag;
  return { key, type, variants, metadata, environments: { production } };
}

function hasHistory({ fallthrough }: RulesetFlag): boolean {
  if ("variant" in fallthrough) return false;
  return new Set(fallthrough.allocation.map(([variant]) => variant)).size < fallthrough.allocation.length;
}

function serveOf(serve: RulesetServe): unknown {
  if ("variant" in serve) return serve;
  const buckets = new Map<string, number>();
  for (const [variant, from, to] of serve.allocation) buckets.set(variant, (buckets.get(variant) ?? 0) + to - from);
  return { split: Object.fromEntries([...buckets].map(([variant, count]) => [variant, (count * 100) / BUCKET_COUNT])) };
}

/** A flag can only require what exists. Flags of a cycle stay where they are, and are refused. */
function prerequisitesFirst(flags: readonly RulesetFlag[]): readonly RulesetFlag[] {
  const ordered = new Set<RulesetFlag>();
  const visit = (flag: RulesetFlag, below: ReadonlySet<string>): void => {
    for (const { flag: key } of flag.prerequisites) {
      const required = flags.find((other) => other.key === key);
      if (required && !below.has(key)) visit(required, new Set([...below, key]));
    }
    ordered.add(flag);
  };
  for (const flag of flags) visit(flag, new Set([flag.key]));
  return [...ordered];
}

function cancelled(timer: NodeJS.Timeout): () => void {
  timer.unref();
  return () => clearTimeout(timer);
}

const SILENT = { debug() {}, info() {}, warn() {}, error() {}, child: () => SILENT };
