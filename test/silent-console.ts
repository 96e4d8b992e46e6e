import { afterAll, afterEach, vi } from "vitest";

/*
 * A test leaves the console silent: what is printed there nobody reads, and a package that prints under test prints in
 * production too. Warnings of Node.js count, for they are about us. Set up for the packages in vitest.config.ts.
 */

const METHODS = ["debug", "error", "info", "log", "trace", "warn"] as const;
const printed: string[] = [];
for (const method of METHODS) {
  vi.spyOn(console, method).mockImplementation((...parts: unknown[]) => {
    printed.push(`console.${method}: ${parts.map(String).join(" ")}`);
  });
}
process.on("warning", ({ name, message }) => void printed.push(`${name}: ${message}`));

function requireSilence(): void {
  const lines = printed.splice(0);
  if (lines.length > 0) throw new Error(`The test printed:\n${lines.join("\n")}`);
}

afterEach(requireSilence);
afterAll(requireSilence);
