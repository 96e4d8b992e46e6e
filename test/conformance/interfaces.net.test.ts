import { createFlags, type Flags } from "@bunting/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { A_HISTORY, type FilledServer, startFilledServer } from "./filled-server.ts";
import { type Case, loadCaseFiles, rulesetOf, titleOf } from "./load.ts";

/** Written by a newer server, or by nobody: what no admin API accepts reaches an SDK as a bootstrap object. */
const UNWRITABLE = new Set(["newer-rulesets"]);

/** What the server refuses to store, file by file, with the codes it gives. Rulesets may still hold such flags. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  attributes: ["condition_invalid"],
  bucketing: [A_HISTORY],
  prerequisites: ["prerequisite_invalid", "prerequisite_cycle"],
};

/**
 * Legal JSON that a strict edge does not let in: text that is not well-formed or holds NUL, integers that lose digits. An SDK
 * decides all of it.
 */
const isSendable = (context: unknown): boolean =>
  !/\\u0000|\\ud[89a-f]|[[:,-](?:9007199254740992|\d{17,})[,}\]]/.test(JSON.stringify(context));

const files = loadCaseFiles();
const titled = (cases: readonly Case[]) => cases.map((each) => [titleOf(each), each] as const);

describe.each(files.filter(({ name }) => !UNWRITABLE.has(name)))("EV-8 $name on a server", (file) => {
  let server: FilledServer;
  let flags: Flags;
  beforeAll(async () => {
    server = await startFilledServer(file);
    flags = createFlags({ url: server.url, token: server.sdkToken, cacheFile: false });
    await flags.ready();
  });
  afterAll(async () => {
    await flags.close();
    await server.close();
  });

  it("compiles to the entries of the file, checksum for checksum", async () => {
    const response = await fetch(`${server.url}/sdk/v1/ruleset`, {
      headers: { authorization: `Bearer ${server.sdkToken}` },
    });
    const ruleset = (await response.json()) as { flags: Record<string, unknown>; segments: Record<string, unknown> };
    const writable = file.flags.filter(({ key }) => !server.refused.has(key));
    expect(ruleset.flags).toEqual(Object.fromEntries(writable.map((flag) => [flag.key, flag])));
    expect(ruleset.segments).toEqual(Object.fromEntries(file.segments.map((segment) => [segment.key, segment])));
    expect([...new Set(server.refused.values())]).toEqual(REFUSED[file.name] ?? []);
  });

  it.each(titled(file.cases))("an SDK over the stream: %s", (_, { flag, context, expected }) => {
    if (server.refused.has(flag)) return;
    const { revision, ageMs, ...decided } = flags.evaluate(flag, context);
    expect(decided).toEqual(expected);
    expect(revision).toBeTypeOf("number");
    expect(ageMs).toBeTypeOf("number");
  });

  it.each(titled(file.cases))("the evaluate endpoint: %s", async (_, { flag, context, expected }) => {
    if (server.refused.has(flag)) return;
    const response = await fetch(`${server.url}/api/v1/environments/production/evaluate`, {
      method: "POST",
      headers: { authorization: `Bearer ${server.adminToken}`, "content-type": "application/json" },
      body: JSON.stringify({ context, flags: [flag] }),
    });
    const answer = (await response.json()) as { flags?: Record<string, Record<string, unknown>>; code?: string };
    const { trace, ...result } = answer.flags?.[flag] ?? {};
    expect(answer.code === undefined ? result : answer.code).toEqual(
      isSendable(context) ? expected : "invalid_request",
    );
    expect(Array.isArray(trace)).toBe(isSendable(context));
  });
});

describe.each(files)("EV-8 $name in an SDK without a server", (file) => {
  const flags = createFlags({ bootstrap: { type: "snapshot", part: 1, parts: 1, ...rulesetOf(file) } });
  afterAll(() => flags.close());

  it.each(titled(file.cases))("%s", (_, { flag, context, expected }) => {
    const { revision, ageMs, ...decided } = flags.evaluate(flag, context);
    // Nobody has confirmed a bootstrap object: it is stale, and says how it was decided all the same.
    expect({ ...decided, reason: expected.reason }).toEqual(expected);
    expect(["STALE", expected.reason]).toContain(decided.reason);
    expect({ revision, ageMs }).toEqual({ revision: 1, ageMs: null });
  });
});
