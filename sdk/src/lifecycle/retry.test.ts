import { STREAM_TIMING } from "@bunting/contracts/literals";
import { createSeededRandom } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { type Attempt, type Failure, failedAfter, isFirstTry, regimeOf, retryDelayMs } from "./retry.ts";

const attempt = (failure: Failure, more: Partial<Attempt> = {}): Attempt => ({
  failure,
  failed: 0,
  livedMs: 0,
  random: 0.5,
  ...more,
});
const NETWORK: Failure = { kind: "network", code: "ECONNREFUSED" };

describe("LC-11, ST-65 which failures are slow", () => {
  const statuses = Array.from({ length: 500 }, (_, index) => 100 + index);
  it("knows every HTTP status from 100 to 599", () => {
    const slow = statuses.filter((status) => regimeOf({ kind: "refused", status }) === "slow");
    const expected = statuses.filter((status) => status >= 400 && status <= 499 && ![400, 408, 429].includes(status));
    expect(slow).toEqual(expected);
  });

  it("knows every close code from 1000 to 4999", () => {
    const codes = Array.from({ length: 4_000 }, (_, index) => 1_000 + index);
    const slow = codes.filter((code) => regimeOf({ kind: "closed", code }) === "slow");
    expect(slow).toEqual(codes.filter((code) => code >= 4400 && code <= 4499 && code !== 4409));
  });

  it.each([
    "ECONNREFUSED",
    "ECONNRESET",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    "EPIPE",
    "CERT_HAS_EXPIRED",
  ])("takes %s for a passing fault", (code) => expect(regimeOf({ kind: "network", code })).toBe("fast"));

  it.each(["silence", "malformed", "left_epoch"] as const)("takes %s for a passing fault", (kind) => {
    expect(regimeOf({ kind })).toBe("fast");
  });

  it("waits minutes in the slow regime, whatever went before", () => {
    for (const random of [0, 0.5, 0.999999]) {
      for (const failed of [0, 64]) {
        const delay = retryDelayMs(attempt({ kind: "refused", status: 401 }, { random, failed, livedMs: 90_000 }));
        expect(delay).toBeGreaterThanOrEqual(150_000);
        expect(delay).toBeLessThan(300_000);
      }
    }
  });
});

describe("LC-10 full jitter, the cap before the jitter", () => {
  it("spreads 10,000 delays at the cap evenly from 0 to 30 s", () => {
    const random = createSeededRandom(20_261_121);
    const delays = Array.from({ length: 10_000 }, () =>
      retryDelayMs(attempt(NETWORK, { failed: 40, random: random.next() })),
    );
    const tenths = Array.from({ length: 10 }, () => 0);
    for (const delay of delays) tenths[Math.floor(delay / 3_000)] = (tenths[Math.floor(delay / 3_000)] ?? 0) + 1;
    expect(Math.max(...delays)).toBeLessThan(30_000);
    // 1,000 expected in each, standard deviation 30: five of them either way.
    for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it.each([0, 1, 2, 5, 8, 9, 20, 64])("is below 100 ms × 2^%i and below 30 s", (failed) => {
    const most = retryDelayMs(attempt(NETWORK, { failed, random: 0.999999 }));
    expect(most).toBeLessThan(Math.min(30_000, 100 * 2 ** failed));
    expect(most).toBeGreaterThan(Math.min(30_000, 100 * 2 ** failed) * 0.99);
  });
});

describe("LC-12, ST-63 the first try after a connection that lived", () => {
  it.each([
    [5_000, NETWORK, true],
    [4_999, NETWORK, false],
    [5_000, { kind: "closed", code: 1006 }, true],
    [5_000, { kind: "closed", code: 1012 }, true],
    [5_000, { kind: "closed", code: 4500 }, false],
    [5_000, { kind: "closed", code: 4599 }, false],
    [5_000, { kind: "closed", code: 4401 }, false],
    [5_000, { kind: "closed", code: 1006, retryAfterMs: 10 }, false],
  ] as const)("after %i ms and %o: %s", (livedMs, failure, first) => {
    const tried = attempt(failure, { livedMs, random: 0.999 });
    expect(isFirstTry(tried)).toBe(first);
    if (first) expect(retryDelayMs(tried)).toBeLessThan(50);
  });
});

describe("LC-13 failed tries are forgiven after 60 s of health, not on opening", () => {
  it.each([
    [0, 4],
    [59_999, 3],
    [60_000, 0],
  ])("after %i ms of health 3 failed tries count as %i", (livedMs, failed) => {
    expect(failedAfter(attempt(NETWORK, { failed: 3, livedMs }))).toBe(failed);
  });
});

describe("LC-14 the server's delay is obeyed", () => {
  it.each([[NETWORK], [{ kind: "refused", status: 503 }], [{ kind: "closed", code: 4503 }]] as const)(
    "by %o",
    (failure) => {
      for (const random of [0, 0.9]) {
        expect(retryDelayMs(attempt({ ...failure, retryAfterMs: 7_000 }, { random }))).toBeGreaterThanOrEqual(7_000);
      }
    },
  );

  it("spreads those who were told the same", () => {
    const told = { kind: "refused", status: 503, retryAfterMs: 1_000 } as const;
    expect(retryDelayMs(attempt(told, { random: 0.9, failed: 5 }))).not.toBe(
      retryDelayMs(attempt(told, { random: 0.1, failed: 5 })),
    );
  });

  it("believes no more than an hour", () => {
    expect(retryDelayMs(attempt({ kind: "refused", status: 503, retryAfterMs: 1e12 }, { random: 0 }))).toBe(3_600_000);
  });
});

describe("ST-41 the timing holds together", () => {
  it("notices silence, and tries again, before a state is stale", () => {
    expect(2 * STREAM_TIMING.heartbeatMs).toBeLessThan(STREAM_TIMING.staleAfterMs);
    expect(STREAM_TIMING.backoffCapMs).toBeLessThan(STREAM_TIMING.staleAfterMs);
  });
});
