import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EXAMPLES } from "./examples.ts";
import { run } from "./run.ts";
import { createTestWorld, sampleReceipt, TOKEN } from "./test-world.ts";

const killPage = readFileSync(new URL("../../../docs/operating/kill.md", import.meta.url), "utf8");
const blocks = (language: string): string[] =>
  [...killPage.matchAll(new RegExp(`^ *\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, "gm"))].map(
    ([, text]) => text ?? "",
  );
const documented = blocks("sh")
  .flatMap((block) => block.split("\n"))
  .map((line) => line.replace(/ +#.*$/, "").trim())
  .filter((line) => line.startsWith("bunting "));

/** As a shell would; these lines hold nothing but words and double quotes. */
const words = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].slice(1).map(([, quoted, plain]) => quoted ?? plain ?? "");

describe("every example gets as far as the network", () => {
  it.each([...Object.values(EXAMPLES).flat(), ...documented])("%s", async (line) => {
    const fetch = () => Promise.reject(new Error("no network in this test"));
    // Files that examples name: plans, and an address.
    const readFile = () => "{}";
    const { world, err } = createTestWorld({ env: { BUNTING_TOKEN: TOKEN }, fetch, readFile });
    expect({ exitCode: await run(words(line), world), err: err() }).toMatchObject({ exitCode: 3 });
  });
});

it("the page for 3 a.m. shows what a kill prints", async () => {
  const [sample] = blocks("text");
  const receipt = sampleReceipt({ latencyMs: { p50: 12, p95: 20, p99: 31, max: 44 } });
  const change = {
    environment: "production",
    flags: ["redis-readthrough"],
    position: { epoch: "e", revision: 318 },
    receipt,
  };
  const { world, out } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: () => Promise.resolve(Response.json(change)),
  });
  await run(words(documented[0] ?? ""), world);
  expect(out()).toBe(sample);
});
