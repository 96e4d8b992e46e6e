import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, TOKEN } from "../test-world.ts";

const ANSWER = { position: { epoch: "e", revision: 1 }, flags: {} };

async function evaluating(given: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const contexts: unknown[] = [];
  const { world, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    readFile: (path) => files[path],
    fetch: (_url, { body }) => {
      contexts.push((JSON.parse(body ?? "null") as { context: unknown }).context);
      return Promise.resolve(Response.json(ANSWER));
    },
  });
  return { exitCode: await run(["evaluate", "redis-readthrough", ...given], world), contexts, err: err() };
}

describe("evaluate --context", () => {
  const context = { key: "u-1", country: "DE", plan: { seats: 12 } };
  const text = JSON.stringify(context);

  it.each([
    ["JSON as it is typed", text, {}],
    ["JSON after a line break", `\n  ${text}`, {}],
    ["a file", "context.json", { "context.json": text }],
    ["standard input", "-", { "-": text }],
    ["a file whose name looks like JSON", "./{}", { "./{}": text }],
  ])("takes %s", async (_what, given, files) => {
    expect(await evaluating(["--context", given], files)).toMatchObject({ exitCode: 0, contexts: [context] });
  });

  it("is what --key and --attr add to", async () => {
    const { contexts } = await evaluating(["--context", text, "--key", "u-2", "--attr", "age=31"]);
    expect(contexts).toEqual([{ ...context, key: "u-2", age: 31 }]);
  });

  it.each([
    ["broken JSON", `{"key":`, {}, "The JSON of --context is not JSON: "],
    ["JSON without its quotes, as a shell leaves it", "{key:u-1}", {}, "The JSON of --context is not JSON: "],
    ["a list", `["u-1"]`, {}, "The JSON of --context is not a JSON object."],
    ["a text", `"u-1"`, {}, "The JSON of --context is not a JSON object."],
    ["neither JSON nor a file", "key=u-1", {}, "--context is no JSON object, and there is no file key=u-1."],
    ["a broken file", "context.json", { "context.json": "{" }, "context.json is not JSON: "],
    ["a file of a list", "context.json", { "context.json": "[]" }, "context.json is not a JSON object."],
    ["a broken standard input", "-", { "-": "" }, "What came on standard input is not JSON: "],
  ])("refuses %s, and sends nothing", async (_what, given, files, said) => {
    const { exitCode, contexts, err } = await evaluating(["--context", given], files);
    expect({ exitCode, contexts }).toEqual({ exitCode: 2, contexts: [] });
    expect(err).toContain(said);
  });
});
