import { describe, expect, it } from "vitest";
import { run } from "./run.ts";
import { createTestWorld, sampleFlag, TOKEN } from "./test-world.ts";
import type { World } from "./world.ts";

/** Nothing in these tests may reach a network. */
const unreachable: World["fetch"] = () => Promise.reject(new Error("no network in this test"));

async function running(commandLine: string, differences: Partial<World> = {}) {
  const { world, out, err } = createTestWorld({ env: { BUNTING_TOKEN: TOKEN }, fetch: unreachable, ...differences });
  return { exitCode: await run(commandLine.split(" ").filter(Boolean), world), out: out(), err: err() };
}

describe("exit code 0", () => {
  it.each(["--help", "--version", "help kill", "flag set --help"])(
    "of %j, which answers on stdout",
    async (commandLine) => {
      const { exitCode, out, err } = await running(commandLine);
      expect([exitCode, err]).toEqual([0, ""]);
      expect(out).not.toBe("");
    },
  );
});

describe("exit code 2, and nothing sent", () => {
  it.each([
    ["an unknown command", "flag lst"],
    ["a missing argument", "flag show"],
    ["an unknown option", "flag list --al"],
    ["a key that is a path", "flag show ../tokens"],
    ["a percentage above 100", "flag set a --on 101"],
    ["a wait that is no number", "kill a --reason x --wait soon"],
    ["a kill without flags", "kill --reason x"],
    ["a kill with flags and a tag", "kill a --tag t --reason x"],
    ["a kill without a reason where nobody can be asked", "kill a"],
    ["an archiving that nobody confirms", "token revoke abcdefghijkl"],
    ["a token where its id belongs", `token revoke ${TOKEN} --yes`],
    ["a token of an unknown kind", "token create x --kind god"],
    ["a file that does not exist", "flag create a --file gone.json"],
    ["an attribute given twice", "evaluate a --attr x=1 --attr x=2"],
    ["the targeting key given twice", "evaluate a --key u-1 --attr key=u-2"],
    ["an approval that is no percentage", "rollout create a --stages 5,50 --approval soon"],
    ["a plan beside other options", "rollout create a --plan p.json --bake 5"],
    ["a rollout that is a path", "rollout status ../x"],
    ["a metric that cannot be one", "gauge post Score 1"],
    ["another plan that is not named", "rollout what-if a"],
    ["a webhook without an address", "webhook create releases"],
    ["an environment that is a path", "flag list --env ../x"],
  ])("for %s", async (_, commandLine) => {
    const { exitCode, out, err } = await running(commandLine);
    expect([exitCode, out]).toEqual([2, ""]);
    expect(err).toMatch(/^✗ usage {2}/m);
  });

  it("for no command at all, with the help on stderr", async () => {
    const { exitCode, err } = await running("");
    expect(exitCode).toBe(2);
    expect(err).toContain("Usage: bunting");
  });

  it("for a reason that the person did not want to give", async () => {
    expect((await running("kill a", { isInteractive: true })).exitCode).toBe(2);
  });
});

it("exit code 3 if nothing answers", async () => {
  const { exitCode, err } = await running("flag list");
  expect(exitCode).toBe(3);
  expect(err).toContain("unreachable");
});

it("exit code 4 without a token, and nothing is sent", async () => {
  const { exitCode, err } = await running("flag list", { env: {} });
  expect(exitCode).toBe(4);
  expect(err).toContain("BUNTING_TOKEN");
});

describe("with --json", () => {
  it("an error is one JSON line on stderr, and stdout stays empty", async () => {
    const { exitCode, out, err } = await running("flag list --json", { env: {} });
    expect(out).toBe("");
    expect(JSON.parse(err)).toMatchObject({ error: { code: "no_token", exitCode } });
  });

  it("may stand before or after the command", async () => {
    const [before, after] = [
      await running("--json flag list", { env: {} }),
      await running("flag list --json", { env: {} }),
    ];
    expect(before.err).toBe(after.err);
  });
});

it("says which environment it means when nobody did", async () => {
  expect((await running("instances")).err).toContain("Environment production, the default");
  expect((await running("instances --env staging")).err).not.toContain("default");
  expect((await running("instances --json")).err).not.toContain("Environment production");
});

it("a token never appears in what is printed", async () => {
  for (const commandLine of ["flag list", `token revoke ${TOKEN}`, "status --json"]) {
    const { out, err } = await running(commandLine);
    expect(out + err).not.toContain(TOKEN.slice(-49));
  }
});

it("what others wrote cannot move the cursor, and is whole in JSON", async () => {
  const hostile = sampleFlag({ description: "\u001b[2J\u001b[1;1Hall is well" });
  const fetch: World["fetch"] = (url) =>
    Promise.resolve(Response.json(url.includes("/flags/") ? hostile : { items: [], nextCursor: null }));
  const shown = await running("flag show redis-readthrough", { fetch });
  expect(shown.out).toContain("\\u{1b}[2J");
  expect(shown.out).not.toContain("\u001b");
  const json = await running("flag show redis-readthrough --json", { fetch });
  expect(JSON.parse(json.out)).toMatchObject({ flag: { description: hostile.description } });
});

it("a defect is thrown, not dressed up as a refusal", async () => {
  const broken: World["readFile"] = () => {
    throw new TypeError("defect");
  };
  await expect(running("flag list", { env: {}, readFile: broken })).rejects.toThrow("defect");
});
