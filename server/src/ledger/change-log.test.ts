import type { FlagKey, Operation } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { ChangeLog } from "./change-log.ts";
import { PRODUCTION } from "./ledger-fixture.ts";
import type { Commit } from "./state.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

function commitOf(revision: number, committedAt = 0, bytes = 10): Commit {
  const operations: Operation[] = [{ op: "remove", kind: "flag", key: "x".repeat(bytes) as FlagKey }];
  const checksum = "000000000000";
  return {
    environment: PRODUCTION,
    epoch: "e",
    previous: revision - 1,
    revision,
    operations,
    checksum,
    kill: null,
    committedAt,
  };
}

const logOf = (count: number, make: (revision: number) => Commit = commitOf) =>
  new ChangeLog(
    count,
    Array.from({ length: count }, (_, index) => make(index + 1)),
  );

describe("R6 the change log answers for every revision", () => {
  it("gives exactly what is missing, nothing at the head, and says where it ends", () => {
    const log = logOf(10);
    log.compact(4);
    expect(log.base).toBe(4);
    expect(log.after(3)).toBe("compacted");
    for (let revision = 4; revision <= 10; revision++) {
      const missing = log.after(revision);
      if (missing === "compacted") throw new Error(`${revision} is not compacted.`);
      expect(missing.map((commit) => commit.revision)).toEqual(
        Array.from({ length: 10 - revision }, (_, index) => revision + 1 + index),
      );
    }
  });

  it("knows nothing before the point where a history begins", () => {
    const log = new ChangeLog(41);
    expect(log.after(40)).toBe("compacted");
    expect(log.after(41)).toEqual([]);
    log.append(commitOf(42));
    expect(log.after(41)).toHaveLength(1);
  });

  it("takes no commit that does not follow", () => {
    const log = logOf(3);
    expect(() => log.append(commitOf(5))).toThrow("does not follow on 3");
    expect(() => log.append(commitOf(3))).toThrow("does not follow on 3");
  });
});

describe("R18 the change log is bounded", () => {
  it("keeps the last 1,024 changes however old they are", () => {
    const log = logOf(1_100);
    expect(log.compactable(10 * DAY_MS)).toBe(76);
    log.compact(76);
    expect(log.compactable(10 * DAY_MS)).toBe(76);
  });

  it("keeps more while they are younger than a day", () => {
    const log = logOf(1_100, (revision) => commitOf(revision, revision * 1000));
    expect(log.compactable(DAY_MS)).toBe(0);
    expect(log.compactable(DAY_MS + 10_001)).toBe(10);
  });

  it("never keeps more than 4,096", () => {
    expect(logOf(4_100).compactable(0)).toBe(4);
  });

  it("gives up even the last changes for 64 MiB", () => {
    const log = logOf(70, (revision) => commitOf(revision, 0, 1024 * 1024));
    expect(log.compactable(0)).toBeGreaterThanOrEqual(6);
    log.compact(log.compactable(0));
    expect(log.base).toBeLessThan(10);
  });
});
