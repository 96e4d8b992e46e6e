import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, sampleFlag, TOKEN } from "../test-world.ts";

/** What was sent to the server, if anything. */
async function create(...args: string[]) {
  const sent: unknown[] = [];
  const { world, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: (_url, { body }) => {
      sent.push(JSON.parse(String(body)));
      return Promise.resolve(Response.json(sampleFlag(), { status: 201 }));
    },
  });
  const code = await run(["flag", "create", "limits", ...args], world);
  return { code, sent, err: err() };
}

describe("flag create", () => {
  it("takes text as it is for a string flag, and JSON for a JSON flag", async () => {
    const { sent: strings } = await create("--type", "string", "--variant", "a=[1");
    expect(strings).toMatchObject([{ variants: { a: { value: "[1" } } }]);
    const { sent: documents } = await create("--type", "json", "--variant", 'a={"n":1}', "--variant", 'b="text"');
    expect(documents).toMatchObject([{ variants: { a: { value: { n: 1 } }, b: { value: "text" } } }]);
  });

  it.each([
    ["JSON without its quotes, as a shell leaves it", ["a={n:1}"], "The value of a is not JSON: "],
    ["a variant twice", ["a=1", "a=2"], "Each name can be given once."],
  ])("refuses %s, for a value can never be changed", async (_what, variants, message) => {
    const { code, sent, err } = await create("--type", "json", ...variants.flatMap((text) => ["--variant", text]));
    expect({ code, sent }).toEqual({ code: 2, sent: [] });
    expect(err).toContain(message);
  });
});
