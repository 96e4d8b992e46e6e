import type {
  Operation,
  Position,
  Ruleset,
  RulesetFlag,
  RulesetSegment,
  ServerMessage,
  Snapshot,
} from "@bunting/contracts";
import { FLAG_TYPES, LIMITS, RESERVED_KEYS } from "@bunting/contracts/literals";

/*
 * What crosses the SDK's edge, checked by hand: a schema library would be larger than the whole SDK. A property test holds
 * these guards and the schemas of the contracts to the same verdicts. A guard answers with the parsed value itself, unknown
 * fields and all: nobody merges it, spreads it or walks its prototype, and keys that name prototype machinery are refused.
 */

/** A message, the name of a type that this release does not know (to be ignored), or null: not a valid message. */
export type Parsed = { readonly message: ServerMessage } | { readonly unknown: string } | null;

export function parseServerMessage(text: string): Parsed {
  const value = parseJson(text);
  if (!isObject(value) || typeof value.type !== "string") return null;
  const guard = MESSAGES.get(value.type);
  if (guard === undefined) return { unknown: value.type };
  return guard(value) ? { message: value as unknown as ServerMessage } : null;
}

/** The answer to a poll: one snapshot that is whole. */
export function parseSnapshot(text: string): Snapshot | null {
  const value = parseJson(text);
  return isObject(value) && value.type === "snapshot" && isSnapshot(value) ? (value as unknown as Snapshot) : null;
}

/** A ruleset that an application or a file brings: the same fields as a snapshot, without its envelope. */
export function asRuleset(value: unknown): Ruleset | null {
  return isObject(value) && isPosition(value) && isChecksum(value.checksum) && isContent(value)
    ? (value as unknown as Ruleset)
    : null;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPosition(value: Fields): value is Fields & Position {
  return isText(value.epoch, 1, 64) && isCount(value.revision);
}

export type Fields = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A safe integer that is not negative. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

type Guard = (value: Fields) => boolean;

const MESSAGES: ReadonlyMap<string, Guard> = new Map<string, Guard>([
  ["welcome", isWelcome],
  ["snapshot", isSnapshot],
  ["patch", (value) => isStep(value) && isList(value.operations, 1, Number.POSITIVE_INFINITY, isOperation)],
  ["kill", (value) => isStep(value) && isList(value.flags, 1, 1000, isKilledFlag)],
  [
    "heartbeat",
    (value) =>
      isCount(value.revision) && isChecksum(value.checksum) && isCount(value.ackHoldMs) && isCount(value.sentAt),
  ],
  ["telemetry_ack", (value) => isCount(value.sequence) && isOptional(value.nextMs, isCount)],
  [
    "goaway",
    (value) =>
      isOneOf(value.reason, ["shutdown", "rebalance", "maintenance"]) &&
      isCount(value.spreadMs) &&
      isCount(value.deadlineMs),
  ],
  ["error", isErrorMessage],
]);

function isWelcome(value: Fields): boolean {
  return (
    isPosition(value) &&
    isText(value.session, 1, 64) &&
    isText(value.resume, 0, 512) &&
    isCount(value.resumeTtlMs) &&
    isChecksum(value.checksum) &&
    isOneOf(value.mode, ["none", "delta", "snapshot"]) &&
    isOneOf(value.reason, ["first", "current", "behind", "epoch", "compacted", "cheaper"]) &&
    typeof value.resumed === "boolean" &&
    isCount(value.telemetrySequence) &&
    isCount(value.heartbeatMs) &&
    isCount(value.ackHoldMs) &&
    typeof value.node === "string" &&
    isOptional(value.sentAt, isCount)
  );
}

function isSnapshot(value: Fields): boolean {
  return (
    isPosition(value) &&
    isChecksum(value.checksum) &&
    isCount(value.part) &&
    isCount(value.parts) &&
    value.part >= 1 &&
    value.parts >= 1 &&
    isContent(value)
  );
}

function isContent(value: Fields): boolean {
  return isRecord(value.flags, isFlag) && isRecord(value.segments, isSegment);
}

function isErrorMessage(value: Fields): boolean {
  return (
    typeof value.code === "string" &&
    isText(value.message, 0, 200) &&
    typeof value.fatal === "boolean" &&
    isOptional(value.retryAfterMs, isCount) &&
    isOptional(value.sequence, isCount)
  );
}

function isStep(value: Fields): boolean {
  return isCount(value.previous) && isCount(value.revision) && isChecksum(value.checksum);
}

function isKilledFlag(value: unknown): boolean {
  return isObject(value) && isKey(value.key) && isChecksum(value.checksum);
}

function isOperation(value: unknown): value is Operation {
  if (!isObject(value) || !isKey(value.key)) return false;
  if (value.kind !== "flag" && value.kind !== "segment") return false;
  if (value.op === "remove") return true;
  return value.op === "put" && (value.kind === "flag" ? isFlag(value.value) : isSegment(value.value));
}

function isFlag(value: unknown): value is RulesetFlag {
  return (
    isObject(value) &&
    isKey(value.key) &&
    isOneOf(value.type, FLAG_TYPES) &&
    Number.isSafeInteger(value.bucketing) &&
    isRecord(value.variants, (variant) => isObject(variant) && isJson(variant.value, LIMITS.jsonDepth)) &&
    typeof value.enabled === "boolean" &&
    typeof value.killed === "boolean" &&
    isKey(value.offVariant) &&
    isCount(value.salt) &&
    value.salt <= 0xffff_ffff &&
    isList(value.bucketBy, 1, Number.POSITIVE_INFINITY, isString) &&
    isRecord(value.pins, (keys) => isList(keys, 0, Number.POSITIVE_INFINITY, isString)) &&
    isList(value.prerequisites, 0, Number.POSITIVE_INFINITY, isPrerequisite) &&
    isList(value.rules, 0, Number.POSITIVE_INFINITY, isRule) &&
    isServe(value.fallthrough) &&
    isMetadata(value.metadata) &&
    isOptional(value.rollout, isRollout) &&
    isChecksum(value.checksum)
  );
}

function isRollout(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value.id, 1, 64) &&
    isCount(value.attempt) &&
    value.attempt >= 1 &&
    isCount(value.stage) &&
    isKey(value.canary) &&
    isKey(value.control) &&
    (value.rule === null || isString(value.rule)) &&
    isCount(value.groupSalt) &&
    value.groupSalt <= 0xffff_ffff &&
    isList(value.metrics, 0, LIMITS.metricsPerRollout, isMetricKey)
  );
}

function isSegment(value: unknown): value is RulesetSegment {
  return (
    isObject(value) &&
    isKey(value.key) &&
    isList(value.when, 0, Number.POSITIVE_INFINITY, isAttributeCondition) &&
    isChecksum(value.checksum)
  );
}

function isPrerequisite(value: unknown): boolean {
  return isObject(value) && isKey(value.flag) && isList(value.variants, 0, Number.POSITIVE_INFINITY, isKey);
}

function isRule(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value.id === "string" &&
    isList(value.when, 0, Number.POSITIVE_INFINITY, isCondition) &&
    isServe(value.serve)
  );
}

function isCondition(value: unknown): boolean {
  return isAttributeCondition(value) || (isObject(value) && isKey(value.segment));
}

function isAttributeCondition(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value.attribute === "string" &&
    typeof value.op === "string" &&
    isList(value.values, 0, Number.POSITIVE_INFINITY, isScalar)
  );
}

function isServe(value: unknown): boolean {
  if (!isObject(value)) return false;
  return isKey(value.variant) || isList(value.allocation, 1, Number.POSITIVE_INFINITY, isRange);
}

function isRange(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length === 3 &&
    isKey(value[0]) &&
    Number.isSafeInteger(value[1]) &&
    Number.isSafeInteger(value[2])
  );
}

function isMetadata(value: unknown): boolean {
  if (!isObject(value)) return false;
  const names = Object.keys(value);
  return (
    names.length <= LIMITS.metadataEntries &&
    names.every((name) => isStoredText(name, LIMITS.nameBytes)) &&
    Object.values(value).every((entry) =>
      typeof entry === "string" ? isStoredText(entry, LIMITS.descriptionBytes) : isScalar(entry),
    )
  );
}

function isScalar(value: unknown): boolean {
  return typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
}

/** Finite numbers (1e400 parses as infinity) and a depth that a later JSON.stringify survives. */
function isJson(value: unknown, depth: number): boolean {
  if (value === null || isScalar(value)) return true;
  if (typeof value !== "object" || depth === 0) return false;
  return Object.values(value).every((inner) => isJson(inner, depth - 1));
}

const KEY_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const RESERVED: ReadonlySet<string> = new Set(RESERVED_KEYS);
const METRIC_PATTERN = /^[a-z][a-z0-9_]{0,63}$/;
const CHECKSUM_PATTERN = /^[0-9a-f]{12}$/;

/** Names a flag, a variant or a segment. */
export function isKey(value: unknown): value is string {
  return typeof value === "string" && KEY_PATTERN.test(value) && !RESERVED.has(value);
}

/** Names a custom metric. */
export function isMetricKey(value: unknown): value is string {
  return typeof value === "string" && METRIC_PATTERN.test(value);
}

function isChecksum(value: unknown): value is string {
  return typeof value === "string" && CHECKSUM_PATTERN.test(value);
}

function isRecord(value: unknown, isEntry: (entry: unknown) => boolean): boolean {
  return isObject(value) && Object.keys(value).every((key) => isKey(key) && isEntry(value[key]));
}

function isList(value: unknown, least: number, most: number, isEntry: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length >= least && value.length <= most && value.every(isEntry);
}

function isText(value: unknown, least: number, most: number): value is string {
  return typeof value === "string" && value.length >= least && value.length <= most;
}

/** Text as it may be stored: a limit in bytes of UTF-8, no NUL, no lone surrogates. */
export function isStoredText(value: string, mostBytes: number): boolean {
  if (value.length > mostBytes || value.includes("\0") || !value.isWellFormed()) return false;
  return value.length * 3 <= mostBytes || utf8Length(value) <= mostBytes;
}

export function utf8Length(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isOneOf(value: unknown, names: readonly string[]): value is string {
  return typeof value === "string" && names.includes(value);
}

function isOptional(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}
