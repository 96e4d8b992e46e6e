import type {
  EnvironmentKey,
  Flag,
  FlagKey,
  RulesetFlag,
  RulesetSegment,
  Segment,
  SegmentKey,
} from "@bunting/contracts";
import { addChecksums, EMPTY_CHECKSUM } from "@bunting/engine";
import { sql } from "kysely";
import { NO_ENTRIES } from "../../ledger/apply.ts";
import { SharedMap } from "../../ledger/shared-map.ts";
import type {
  Commit,
  EnvironmentState,
  State,
  StoredConfiguration,
  StoredRollout,
  StoredToken,
} from "../../ledger/state.ts";
import { toInstant } from "../../platform/instant.ts";
import { liveRolloutsOf } from "../../rollouts/rollout.ts";
import { compileFlag, compileSegment, ENTRY_FORMAT, entryBytes } from "../../ruleset/entry.ts";
import type { StoredWebhook } from "../../webhooks/stored-webhook.ts";
import { type Loaded, StorageError } from "../store.ts";
import * as documents from "./documents.ts";
import type { Meta } from "./meta.ts";
import type { Queries } from "./queries.ts";
import { addToDigest, rowChecksum, sameChecksum } from "./row-checksum.ts";

/**
 * Reads everything and checks it three times over: each row against its checksum (changed bits), all documents against the
 * digest (lost pages, vanished rows), and each environment's compiled ruleset against its stored checksum.
 */
export function loadLedger(queries: Queries, meta: Meta): Loaded {
  const { build } = queries;
  const reader = new RowReader();

  const flags = new Map<FlagKey, Flag>();
  for (const row of queries.each(build.selectFrom("flag").selectAll().orderBy("key"))) {
    flags.set(row.key as FlagKey, documents.readFlag(reader.document("flag", row.key, row)));
  }
  const segments = new Map<SegmentKey, Segment>();
  for (const row of queries.each(build.selectFrom("segment").selectAll().orderBy("key"))) {
    segments.set(row.key as SegmentKey, documents.readSegment(reader.document("segment", row.key, row)));
  }
  const configurations = new Map<EnvironmentKey, Map<FlagKey, StoredConfiguration>>();
  const allConfigurations = build.selectFrom("configuration").selectAll().orderBy("environment").orderBy("flag");
  for (const row of queries.each(allConfigurations)) {
    const environment = row.environment as EnvironmentKey;
    const flag = row.flag as FlagKey;
    const content = reader.document("configuration", documents.configurationKey(environment, flag), row);
    const ofEnvironment = configurations.get(environment) ?? new Map<FlagKey, StoredConfiguration>();
    configurations.set(environment, ofEnvironment.set(flag, documents.readConfiguration(content)));
  }

  const rollouts = new Map<string, StoredRollout>();
  for (const row of queries.each(build.selectFrom("rollout").selectAll().orderBy(IN_ORDER_OF_CREATION))) {
    rollouts.set(row.key, documents.readRollout(reader.document("rollout", row.key, row)));
  }

  const entries = compileSegments(segments);
  const environments = new Map<EnvironmentKey, EnvironmentState>();
  for (const row of queries.each(build.selectFrom("environment").selectAll().orderBy(IN_ORDER_OF_CREATION))) {
    const key = row.key as EnvironmentKey;
    const stored = documents.readEnvironment(reader.document("environment", key, row));
    const configurationsOf = SharedMap.from(configurations.get(key) ?? []);
    if (stored.archivedAt !== null) {
      environments.set(key, { key, ...stored, ...NO_ENTRIES, configurations: configurationsOf });
      continue;
    }
    const compiled = compileEnvironment(configurationsOf, {
      flags,
      segments: entries,
      live: liveRolloutsOf(rollouts, key),
    });
    if (meta.entryFormat === ENTRY_FORMAT && compiled.checksum !== stored.checksum) {
      throw new StorageError("damaged", `The ruleset of ${key} does not add up to its stored checksum.`);
    }
    environments.set(key, { key, ...compiled, ...stored, configurations: configurationsOf });
  }

  const tokens = loadTokens(queries, reader);
  const webhooks = new Map<string, StoredWebhook>();
  for (const row of queries.each(build.selectFrom("webhook").selectAll().orderBy("key"))) {
    webhooks.set(row.key, documents.readWebhook(reader.document("webhook", row.key, row)));
  }
  if (reader.digest !== meta.digest) {
    throw new StorageError(
      "damaged",
      "A document is missing, or is an older version of itself: the digest does not fit.",
    );
  }
  const state: State = {
    epoch: meta.epoch,
    environments,
    flags: SharedMap.from(flags),
    segments,
    tokens,
    rollouts,
    webhooks: SharedMap.from(webhooks),
  };
  checkAuditHead(queries, meta);
  return {
    state,
    changes: loadChanges(queries, reader, state),
    chain: meta.chain,
    entryFormat: meta.entryFormat,
  };
}

const IN_ORDER_OF_CREATION = sql`rowid`;

/** Compares each row with its checksum, and sums the checksums. */
class RowReader {
  digest = 0;

  /** The content of a row that counts towards the digest. */
  document(table: string, key: string, row: { readonly content: unknown; readonly checksum: unknown }): string {
    const content = this.row(table, key, row);
    this.digest = addToDigest(this.digest, row.checksum as Uint8Array);
    return content;
  }

  row(table: string, key: string, { content, checksum }: { readonly content: unknown; readonly checksum: unknown }) {
    if (typeof content === "string" && sameChecksum(checksum, rowChecksum(table, key, content))) return content;
    throw new StorageError("damaged", `The row ${key} of table ${table} does not fit its checksum.`);
  }
}

function compileSegments(segments: ReadonlyMap<SegmentKey, Segment>): ReadonlyMap<SegmentKey, RulesetSegment> {
  return new Map([...segments].map(([key, segment]) => [key, compileSegment(segment)]));
}

function compileEnvironment(
  configurations: ReadonlyMap<FlagKey, StoredConfiguration>,
  {
    flags: documentsOf,
    segments,
    live,
  }: {
    readonly flags: ReadonlyMap<FlagKey, Flag>;
    readonly segments: ReadonlyMap<SegmentKey, RulesetSegment>;
    readonly live: ReadonlyMap<FlagKey, StoredRollout>;
  },
) {
  let checksum = EMPTY_CHECKSUM;
  let bytes = 0;
  const count = (entry: RulesetFlag | RulesetSegment): void => {
    checksum = addChecksums(checksum, entry.checksum);
    bytes += entryBytes(entry);
  };
  for (const entry of segments.values()) count(entry);
  const flags = new Map<FlagKey, RulesetFlag>();
  for (const [key, stored] of configurations) {
    const flag = documentsOf.get(key);
    if (!flag || flag.archivedAt !== null) continue;
    const entry = compileFlag(flag, stored, live.get(key));
    flags.set(key, entry);
    count(entry);
  }
  return { flags: SharedMap.from(flags), segments, checksum, bytes };
}

function loadTokens(queries: Queries, reader: RowReader): ReadonlyMap<string, StoredToken> {
  const uses = new Map(
    queries.all(queries.build.selectFrom("token_use").selectAll()).map(({ token, at }) => [token, toInstant(at)]),
  );
  const tokens = new Map<string, StoredToken>();
  for (const row of queries.each(queries.build.selectFrom("token").selectAll().orderBy("key"))) {
    const content = reader.document("token", row.key, row);
    tokens.set(row.key, documents.readToken(content, uses.get(row.key) ?? null));
  }
  return tokens;
}

/** The end of the audit must be where the meta row says it is; the whole chain is walked on demand. */
function checkAuditHead(queries: Queries, meta: Meta): void {
  const last = queries.first(
    queries.build.selectFrom("audit").select(["number", "content"]).orderBy("number", "desc").limit(1),
  );
  const count = last?.number ?? 0;
  if (count !== meta.chain.count) {
    throw new StorageError("damaged", `The audit ends at entry ${count} instead of ${meta.chain.count}.`);
  }
  if (last && (JSON.parse(last.content) as { hash?: unknown }).hash !== meta.chain.hash) {
    throw new StorageError("damaged", `The last entry of the audit (${count}) is not the one that was written.`);
  }
}

function loadChanges(queries: Queries, reader: RowReader, state: State): Loaded["changes"] {
  const changes = new Map<EnvironmentKey, Commit[]>([...state.environments.keys()].map((key) => [key, []]));
  const rows = queries.build.selectFrom("change").selectAll().orderBy("environment").orderBy("revision");
  for (const row of queries.each(rows)) {
    const environment = row.environment as EnvironmentKey;
    const content = reader.row("change", documents.changeKey(environment, row.revision), row);
    changes.get(environment)?.push(documents.readChange(environment, row.revision, content));
  }
  for (const [key, commits] of changes) checkContinuity(commits, state.environments.get(key));
  return changes;
}

function checkContinuity(commits: readonly Commit[], environment: EnvironmentState | undefined): void {
  const last = commits.at(-1);
  if (!last || !environment) return;
  const whole = commits.every(({ revision }, index) => revision === last.revision - (commits.length - 1 - index));
  const agrees = last.revision === environment.revision && last.checksum === environment.checksum;
  if (whole && agrees) return;
  throw new StorageError(
    "damaged",
    `The change log of ${environment.key} has a hole, or does not lead to its revision.`,
  );
}
