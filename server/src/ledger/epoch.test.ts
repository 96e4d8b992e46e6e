import { createSeededRandom } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { environmentsAfter, type Found, findRewrite } from "./epoch.ts";
import { type Head, headOf } from "./head.ts";
import { createFlag, PRODUCTION, patchOf, STAGING, World } from "./ledger-fixture.ts";
import type { Commit } from "./state.ts";

const chain = (count: number, hash = `hash-${count}`) => ({ count, hash });

/** A database at production 3, staging 1, with what it remembers of its changes. */
function database(): { found: Found; head: Head } {
  const world = new World(createSeededRandom(9));
  const commits: Commit[] = [];
  const commands = [createFlag("a"), patchOf("a", { enabled: false }), patchOf("a", { enabled: true })];
  for (const command of commands) {
    commits.push(...world.do(command).commits.map((commit) => ({ ...commit, committedAt: 0 })));
  }
  const of = (key: string) => commits.filter(({ environment }) => environment === key);
  const changes = new Map([
    [PRODUCTION, of("production")],
    [STAGING, of("staging")],
  ]);
  const found = { state: world.state, changes, chain: chain(3) };
  return { found, head: headOf(world.state, found.chain) };
}

const withProduction = (head: Head, change: object): Head => {
  const production = { revision: 3, checksum: "", ...head.environments["production"], ...change };
  return { ...head, environments: { ...head.environments, production } };
};

describe("R8 the same history goes on", () => {
  it("when nothing was ever written down", () => expect(findRewrite(null, database().found)).toBeNull());

  it("when the database is where the head was", () => {
    const { found, head } = database();
    expect(findRewrite(head, found)).toBeNull();
  });

  it("when the database is further than the head, as after a crash", () => {
    const { found, head } = database();
    const then = found.changes.get(PRODUCTION)?.[1];
    const older = withProduction(head, { revision: 2, checksum: then?.checksum });
    expect(findRewrite({ ...older, audit: chain(2) }, found)).toBeNull();
  });
});

describe("R8 a new epoch begins", () => {
  const cases: [string, (head: Head) => Head | "unreadable"][] = [
    ["when the head is ahead in an environment", (head) => withProduction(head, { revision: 7 })],
    ["when the same revision has other contents", (head) => withProduction(head, { checksum: "ffffffffffff" })],
    [
      "when an older revision had other contents",
      (head) => withProduction(head, { revision: 2, checksum: "ffffffffffff" }),
    ],
    ["when the database is of another epoch", (head) => ({ ...head, epoch: "another" })],
    [
      "when an environment is missing",
      (head) => ({ ...head, environments: { ...head.environments, qa: { revision: 0, checksum: "" } } }),
    ],
    ["when only the audit had come further", (head) => ({ ...head, audit: chain(4) })],
    ["when the audit ends otherwise", (head) => ({ ...head, audit: chain(3, "another") })],
    ["when the note cannot be read", () => "unreadable"],
  ];
  it.each(cases)("%s", (_, change) => {
    const { found, head } = database();
    expect(findRewrite(change(head), found)).not.toBeNull();
  });

  it("R37 above the greatest revision anybody saw", () => {
    const { found, head } = database();
    const rewrite = findRewrite(withProduction(head, { revision: 7 }), found);
    if (!rewrite) throw new Error("A new epoch was expected.");
    expect(environmentsAfter(rewrite, found.state).map(({ key, revision }) => [key, revision])).toEqual([
      ["production", 8],
      ["staging", 2],
    ]);
  });
});
