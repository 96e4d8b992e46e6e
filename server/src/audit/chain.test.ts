import type { AuditEntry } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AuditFacts,
  appendEntry,
  type ChainHead,
  continuesChain,
  EMPTY_CHAIN,
  headAfter,
  isIntact,
} from "./chain.ts";

const factsOf = (index: number): AuditFacts => ({
  at: `2026-01-01T00:00:${String(index % 60).padStart(2, "0")}.000Z`,
  actor: { token: "t", kind: "admin", name: "Ada" },
  action: index % 2 ? "kill" : "restore",
  object: { kind: "configuration", key: `flag-${index}`, environment: "production" },
  before: { killed: null, weights: [index, 100 - index] },
  after: { killed: { by: "Ada" }, text: "ü — \u{1f426}" },
  revisions: { production: index },
  reason: index % 3 ? null : "because",
  requestId: `r-${index}`,
});

function chainOf(count: number): { entries: AuditEntry[]; head: ChainHead } {
  const entries: AuditEntry[] = [];
  let head = EMPTY_CHAIN;
  for (let index = 0; index < count; index++) {
    const entry = appendEntry(head, factsOf(index));
    entries.push(entry);
    head = headAfter(entry);
  }
  return { entries, head };
}

/** Whether the entries are a whole chain that ends at the head. */
function verifies(entries: readonly AuditEntry[], expected: ChainHead): boolean {
  let head = EMPTY_CHAIN;
  for (const entry of entries) {
    if (!continuesChain(head, entry)) return false;
    head = headAfter(entry);
  }
  return head.count === expected.count && head.hash === expected.hash;
}

describe("R39 the audit chain", () => {
  it("verifies as it was written, and after a journey through JSON", () => {
    const { entries, head } = chainOf(20);
    expect(verifies(entries, head)).toBe(true);
    expect(verifies(JSON.parse(JSON.stringify(entries)) as AuditEntry[], head)).toBe(true);
    expect(entries.every(isIntact)).toBe(true);
  });

  it("does not care in which order members are stored", () => {
    const { entries, head } = chainOf(3);
    const turned = entries.map((entry) => Object.fromEntries(Object.entries(entry).reverse()) as AuditEntry);
    expect(verifies(turned, head)).toBe(true);
  });

  it("finds any entry that was removed, repeated, exchanged or edited, wherever it stands", () => {
    const { entries, head } = chainOf(12);
    const place = fc.integer({ min: 0, max: entries.length - 1 });
    const path = fc.constantFrom(
      "at",
      "action",
      "reason",
      "requestId",
      "hash",
      "previousHash",
      "number",
      "before",
      "after",
    );
    const damage = fc.oneof(
      fc.record({ kind: fc.constant("remove" as const), place }),
      fc.record({ kind: fc.constant("cut" as const), place }),
      fc.record({ kind: fc.constant("repeat" as const), place }),
      fc.record({ kind: fc.constant("exchange" as const), place, other: place }),
      fc.record({ kind: fc.constant("edit" as const), place, path, value: fc.jsonValue() }),
    );
    fc.assert(
      fc.property(damage, (done) => {
        const damaged = structuredClone(entries);
        switch (done.kind) {
          case "remove":
            damaged.splice(done.place, 1);
            break;
          case "cut":
            damaged.length = done.place;
            break;
          case "repeat":
            damaged.splice(done.place, 0, structuredClone(entries[done.place]) as AuditEntry);
            break;
          case "exchange":
            damaged[done.place] = entries[done.other] as AuditEntry;
            damaged[done.other] = entries[done.place] as AuditEntry;
            break;
          case "edit":
            Object.assign(damaged[done.place] as AuditEntry, { [done.path]: done.value });
            break;
        }
        fc.pre(JSON.stringify(damaged) !== JSON.stringify(entries));
        // -0 and 0 are one number in JSON, and in RFC 8785 too.
        fc.pre(JSON.stringify(damaged).replaceAll("-0", "0") !== JSON.stringify(entries).replaceAll("-0", "0"));
        return !verifies(damaged, head);
      }),
      { numRuns: 500 },
    );
  });

  it("is not fooled by an edit that hashes itself anew", () => {
    const { entries, head } = chainOf(5);
    const forged = [...entries];
    const before = { count: 2, hash: (entries[1] as AuditEntry).hash };
    forged[2] = appendEntry(before, { ...factsOf(2), reason: "another" });
    expect(isIntact(forged[2])).toBe(true);
    expect(verifies(forged, head)).toBe(false);
  });
});
