import { createHash } from "node:crypto";
import { ReadableStream } from "node:stream/web";
import { backup } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { run } from "../run.ts";
import { createTestWorld, TOKEN } from "../test-world.ts";
import type { World } from "../world.ts";

const CONTENT = Buffer.from("a database of some bytes ".repeat(100));

const MADE = backup.parse({
  name: "bunting-20260131T120000000Z.db",
  madeAt: "2026-01-31T12:00:00.000Z",
  bytes: CONTENT.length,
  sha256: createHash("sha256").update(CONTENT).digest("hex"),
  epoch: "e",
  revisions: { production: 318 },
  auditEntries: 41,
  auditHead: "ab".repeat(32),
});

const half = (): Buffer[] => [CONTENT.subarray(0, 1000)];
const whole = (): Buffer[] => [...half(), CONTENT.subarray(1000)];

interface Setup {
  readonly chunks?: readonly Uint8Array[];
  readonly world?: Partial<World>;
  readonly made?: () => Response;
}

async function backingUp(given: readonly string[], { chunks = whole(), world: differences, made }: Setup = {}) {
  const requests: string[] = [];
  const file = { written: [] as Uint8Array[], kept: 0, discarded: 0, options: {} as object };
  const { world, out, err } = createTestWorld({
    env: { BUNTING_TOKEN: TOKEN },
    fetch: (url, { method }) => {
      requests.push(`${method} ${new URL(url).pathname}`);
      if (method === "POST") return Promise.resolve(made?.() ?? Response.json(MADE, { status: 201 }));
      return Promise.resolve(new Response(ReadableStream.from(chunks)));
    },
    newFile: (_path, options) => ({
      write: (bytes) => void file.written.push(bytes),
      keep: () => void (file.kept = Object.assign(file, { options }).kept + 1),
      discard: () => void file.discarded++,
    }),
    ...differences,
  });
  return { exitCode: await run(["backup", ...given], world), requests, file, out: out(), err: err() };
}

describe("backup", () => {
  it("downloads what the server made, and keeps it once the checksum fits", async () => {
    const { exitCode, requests, file, out } = await backingUp(["copy.db"]);
    expect(exitCode).toBe(0);
    expect(requests).toEqual(["POST /api/v1/backups", `GET /api/v1/backups/${MADE.name}`]);
    expect(Buffer.concat(file.written).equals(CONTENT)).toBe(true);
    expect(file).toMatchObject({ kept: 1, options: { replace: false } });
    expect(out).toContain("Wrote copy.db, verified.");
    expect(out).toContain("production 318");
  });

  it("says in JSON what it holds", async () => {
    const { out, err } = await backingUp(["copy.db", "--json", "--force"]);
    expect(JSON.parse(out)).toEqual({ file: "copy.db", ...MADE });
    expect(err).toBe("");
  });

  it.each([
    ["breaks off", half()],
    ["is another file", [Buffer.alloc(CONTENT.length)]],
    ["goes on", [...whole(), CONTENT]],
  ])("keeps nothing that %s", async (_how, chunks) => {
    const { exitCode, file, out, err } = await backingUp(["copy.db"], { chunks });
    expect({ exitCode, kept: file.kept, discarded: file.discarded, out }).toEqual({
      exitCode: 1,
      kept: 0,
      discarded: 1,
      out: "",
    });
    expect(err).toContain("backup_damaged");
  });

  it("asks the server for nothing where the file could not be written", async () => {
    const refusing = (code: string): Partial<World> => ({
      newFile: () => {
        throw Object.assign(new Error(`${code}: as the system says`), { code });
      },
    });
    const taken = await backingUp(["copy.db"], { world: refusing("EEXIST") });
    expect(taken).toMatchObject({ exitCode: 2, requests: [] });
    expect(taken.err).toContain("--force replaces it");
    const forbidden = await backingUp(["copy.db"], { world: refusing("EACCES") });
    expect(forbidden).toMatchObject({ exitCode: 2, requests: [] });
    expect(forbidden.err).toContain("file_not_written  copy.db: EACCES");
  });

  it("keeps nothing, and does not say that nothing was sent, where the disk fails later", async () => {
    const full = (): never => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    };
    let discarded = 0;
    const newFile = () => ({ write: full, keep: () => undefined, discard: () => void discarded++ });
    const { exitCode, err } = await backingUp(["copy.db"], { world: { newFile } });
    expect({ exitCode, discarded }).toEqual({ exitCode: 1, discarded: 1 });
    expect(err).toContain("file_not_written  copy.db: ENOSPC");
  });

  it("does not ask twice when the answer was lost: the first copy is still being made", async () => {
    const { exitCode, requests, file } = await backingUp(["copy.db"], { made: () => Response.error() });
    expect({ exitCode, requests, kept: file.kept }).toEqual({
      exitCode: 3,
      requests: ["POST /api/v1/backups"],
      kept: 0,
    });
    const lost = () => Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNRESET" } });
    const tries: string[] = [];
    const fetch = (url: string): Promise<Response> => {
      tries.push(url);
      return Promise.reject(lost());
    };
    expect((await backingUp(["copy.db"], { world: { fetch } })).exitCode).toBe(3);
    expect(tries).toHaveLength(1);
  });

  it("shows on a terminal how much has come", async () => {
    const drawn: string[] = [];
    const progress: World["progress"] = (total) => ({
      update: (done, message) => void drawn.push(`${done}/${total} ${message}`),
      end: () => void drawn.push("end"),
    });
    const stderr = { write: () => undefined, isTerminal: true, columns: 100, rows: 40 };
    await backingUp(["copy.db"], { world: { progress, stderr } });
    expect(drawn).toEqual(["1000/2500 1.0 kB of 2.5 kB", "2500/2500 2.5 kB of 2.5 kB", "end"]);
  });
});
