import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, TOKEN } from "../test-world.ts";

const ADDRESS = "https://hooks.example.com/services/T0/B0/very-secret";
const webhook = {
  id: "wh-1",
  name: "releases",
  origin: "https://hooks.example.com",
  format: "slack",
  enabled: true,
  kinds: null,
  environments: null,
  secrets: [],
  createdAt: "2026-01-31T11:00:00.000Z",
  createdBy: "t",
  testedAt: null,
};
const delivery = {
  id: "d-1",
  webhook: "releases",
  notification: "n-1",
  kind: "rollout.rolled_back",
  state: "waiting",
  createdAt: "2026-01-31T11:59:00.000Z",
  bodyBytes: 900,
  tryCount: 2,
  nextTryAt: "2026-01-31T12:01:00.000Z",
  lastTry: { at: "2026-01-31T11:59:30.000Z", durationMs: 5000, statusClass: null, failure: "timeout", answerBytes: 0 },
};

async function running(commandLine: readonly string[], answer: unknown) {
  const sent: { method: string | undefined; path: string; body: unknown }[] = [];
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    readFile: (path) => ({ "url.txt": `${ADDRESS}\n`, "secret.txt": `${"s".repeat(32)}\n` })[path],
    fetch: (url, { method, body }) => {
      sent.push({ method, path: new URL(url).pathname, body: body === null ? undefined : JSON.parse(body) });
      return Promise.resolve(Response.json(answer));
    },
  });
  const exitCode = await run(["webhook", ...commandLine], world);
  return { exitCode, out: out(), err: err(), sent };
}

describe("a webhook", () => {
  it("is created from files, because address and secret are passwords", async () => {
    const { exitCode, out, sent } = await running(
      [
        "create",
        "releases",
        "--url-file",
        "url.txt",
        "--format",
        "slack",
        "--kind",
        "rollout.rolled_back,flag.killed",
        "--secret-file",
        "secret.txt",
      ],
      webhook,
    );
    expect(exitCode).toBe(0);
    expect(sent).toEqual([
      {
        method: "POST",
        path: "/api/v1/webhooks",
        body: {
          name: "releases",
          url: ADDRESS,
          format: "slack",
          kinds: ["rollout.rolled_back", "flag.killed"],
          environments: null,
          secret: "s".repeat(32),
        },
      },
    ]);
    expect(out).not.toContain("very-secret");
    expect(out).not.toContain("ssss");
  });

  it("shows a secret that the server made, once and with a word about that", async () => {
    const { out } = await running(["create", "releases", "--url-file", "url.txt"], {
      ...webhook,
      secret: "made-by-the-server",
    });
    expect(out).toContain("made-by-the-server");
    expect(out).toContain("cannot be shown again");
  });

  it("of an unknown kind, or without an address, is refused before anything is sent", async () => {
    for (const words of [["--url-file", "url.txt", "--kind", "rollout.gone"], ["--url-file", "gone.txt"], []]) {
      expect(await running(["create", "releases", ...words], webhook)).toMatchObject({ exitCode: 2, sent: [] });
    }
  });

  it("is deleted after somebody said yes", async () => {
    expect(await running(["delete", "releases"], {})).toMatchObject({ exitCode: 2, sent: [] });
    expect(await running(["delete", "releases", "--yes"], {})).toMatchObject({
      exitCode: 0,
      sent: [{ method: "DELETE", path: "/api/v1/webhooks/releases" }],
    });
  });

  it("is listed without what is secret, and tested", async () => {
    expect((await running(["list"], { items: [webhook], nextCursor: null })).out).toMatch(
      /releases +https:\/\/hooks\.example\.com +slack +everything +all +enabled +never/,
    );
    expect((await running(["test", "releases"], delivery)).out).toContain("Delivery d-1 is on its way");
  });

  it("shows what was sent, what became of it and when it is tried again", async () => {
    const { out } = await running(["deliveries", "releases"], { items: [delivery], nextCursor: null });
    expect(out).toMatch(/d-1 +rollout\.rolled_back +1 min ago +waiting +2 +timeout after 5000 ms +2026-01-31 12:01:00/);
  });

  it("gets another address or format, and is switched off and on", async () => {
    const path = "/api/v1/webhooks/releases";
    const changed = await running(["set", "releases", "--url-file", "url.txt", "--format", "json"], webhook);
    expect(changed.sent).toEqual([{ method: "PATCH", path, body: { url: ADDRESS, format: "json" } }]);
    expect(changed.out).not.toContain("very-secret");
    const off = await running(["disable", "releases"], { ...webhook, enabled: false });
    expect(off.sent).toEqual([{ method: "PATCH", path, body: { enabled: false } }]);
    expect(off.out).toMatch(/state +disabled/);
    expect((await running(["enable", "releases"], webhook)).sent[0]?.body).toEqual({ enabled: true });
    expect(await running(["set", "releases"], webhook)).toMatchObject({ exitCode: 2, sent: [] });
  });

  it("is told again what was given up: one delivery, or all of them, oldest first", async () => {
    const path = (id: string) => `/api/v1/webhooks/releases/deliveries/${id}/redeliver`;
    expect(await running(["redeliver", "releases", "d-1"], delivery)).toMatchObject({
      exitCode: 0,
      sent: [{ method: "POST", path: path("d-1") }],
    });
    const page = { items: [{ ...delivery, id: "d-2" }, delivery], nextCursor: null, ...delivery };
    expect((await running(["redeliver", "releases", "--all"], page)).sent.slice(1)).toMatchObject([
      { method: "POST", path: path("d-1") },
      { method: "POST", path: path("d-2") },
    ]);
    for (const words of [[], ["d-1", "--all"]]) {
      expect(await running(["redeliver", "releases", ...words], page)).toMatchObject({ exitCode: 2, sent: [] });
    }
  });
});
