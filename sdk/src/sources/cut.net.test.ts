import type { Ruleset } from "@bunting/contracts";
import { booleanFlag, createOrigin, startStreamServer, startTcpProxy } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlags } from "../create-flags.ts";

const KEYS = ["a", "b", "c"];

/** The state before: every flag off. After: every flag on. Nothing between the two ever existed. */
function world(): { readonly before: Ruleset; readonly origin: ReturnType<typeof createOrigin> } {
  const origin = createOrigin(KEYS.map((key) => booleanFlag(key, { percent: 0 })));
  const before = origin.ruleset;
  origin.put(...KEYS.map((key) => booleanFlag(key, { percent: 100 })));
  return { before, origin };
}

describe.each(["a patch", "a snapshot"])("LC-30, R2 %s that is cut off anywhere", (what) => {
  it("leaves the state before or the state after, and the next connection brings the rest", {
    timeout: 120_000,
  }, async () => {
    const { before, origin } = world();
    if (what === "a snapshot") origin.compact();
    const server = await startStreamServer({ origin });
    const proxy = await startTcpProxy({ port: Number(new URL(server.url).port) });
    const seen = { before: 0, after: 0 };
    try {
      for (let afterBytes = 1; seen.after < 3; afterBytes += 7) {
        // Polling would hide what the stream does: it is cut off in the same way, but never whole.
        server.answerRequests((response) => response.destroy());
        await proxy.inject({ kind: "cut", afterBytes, direction: "toClient" });
        const url = `http://127.0.0.1:${proxy.port}`;
        const flags = createFlags({ url, token: server.token, cacheFile: false, warn: false, bootstrap: before });
        const lost = new Promise<void>((resolve) => flags.on("error", () => resolve()));
        const swapped = new Promise<void>((resolve) => flags.on("change", () => resolve()));
        await Promise.race([lost, swapped]);
        const states = KEYS.map((key) => flags.isEnabled(key, "u"));
        const { position } = flags.status();
        expect(new Set(states).size, `cut after ${afterBytes} bytes: ${states.join()}`).toBe(1);
        expect(position?.revision, `cut after ${afterBytes} bytes`).toBe(states[0] === true ? 2 : 1);
        seen[states[0] === true ? "after" : "before"] += 1;
        if (afterBytes % 20 === 1) {
          await proxy.heal();
          expect(await flags.ready()).toBe("live");
          expect(flags.isEnabled("a", "u")).toBe(true);
        }
        await flags.close();
      }
    } finally {
      await proxy.close();
      await server.stop();
    }
    expect(seen.before).toBeGreaterThan(50);
  });
});
