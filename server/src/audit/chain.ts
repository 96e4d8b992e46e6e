import { hash } from "node:crypto";
import type { AuditEntry } from "@bunting/contracts";
import { canonicalJson } from "@bunting/engine";

/** What the first entry names as its predecessor. */
const GENESIS_HASH = "0".repeat(64);

/** Everything of an entry but its place in the chain. */
export type AuditFacts = Omit<AuditEntry, "number" | "previousHash" | "hash">;

/** Newest entry of a chain: kept beside the chain, so that entries cut off its end are missed. */
export interface ChainHead {
  readonly count: number;
  readonly hash: string;
}

export const EMPTY_CHAIN: ChainHead = { count: 0, hash: GENESIS_HASH };

/** The entry that continues the chain. Its hash covers its number and, through `previousHash`, every entry before it. */
export function appendEntry(head: ChainHead, facts: AuditFacts): AuditEntry {
  const numbered = { number: head.count + 1, ...facts };
  return { ...numbered, previousHash: head.hash, hash: hashEntry(head.hash, numbered) };
}

/** Whether the entry, as it was read back, is the one that was appended after `head`. */
export function continuesChain(head: ChainHead, entry: AuditEntry): boolean {
  const { previousHash, hash: stored, ...facts } = entry;
  return entry.number === head.count + 1 && previousHash === head.hash && stored === hashEntry(head.hash, facts);
}

/** Whether the entry is as it was written, whatever stands around it. */
export function isIntact(entry: AuditEntry): boolean {
  return continuesChain({ count: entry.number - 1, hash: entry.previousHash }, entry);
}

export function headAfter(entry: AuditEntry): ChainHead {
  return { count: entry.number, hash: entry.hash };
}

function hashEntry(previousHash: string, facts: Omit<AuditEntry, "previousHash" | "hash">): string {
  return hash("sha256", previousHash + canonicalJson(facts), "hex");
}
