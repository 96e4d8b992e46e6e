import {
  createSeededRandom,
  type SeededRandom,
  type ServerProcess,
  startServerProcess,
  startTcpProxy,
} from "@bunting/testkit";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { converge, type ObservedClient, observe, sdkToken, stepsBack } from "./observed-client.ts";
import { oddConfiguration, oddContext, oddFlag, oddSegment } from "./odd-documents.ts";

/*
 * People who write all day, all at once, whatever the schemas allow, while SDKs are connected and cut off. Whatever comes of
 * it, each SDK decides as the server says it would: the same engine on a ruleset that went through JSON, a database, patches,
 * snapshots and resumed streams.
 */

const SEED = Number(process.env.BUNTING_TEST_SEED ?? 20261121);
const WRITERS = 6;
const WRITES_EACH = 60;
const CONTEXTS = 100;
const CUT_EVERY_WRITES = 20;

const flagKeys = ["toString", ...Array.from({ length: 23 }, (_, index) => `flag-${index}`)];
const segmentKeys = ["valueOf", "1", "segment"];

let server: ServerProcess;
beforeAll(async () => {
  server = await startServerProcess();
});
afterAll(() => server.dispose());

describe(`EV-8 an SDK decides as the server says it would (seed ${SEED})`, () => {
  it("for odd documents and odd contexts, after a storm of writes", { timeout: 180_000 }, async () => {
    const random = createSeededRandom(SEED);
    await createDocuments(random);
    const { clients, cut } = await connectClients();

    let writes = 0;
    const writeAll = async (writer: number): Promise<void> => {
      const own = createSeededRandom(SEED + 1 + writer);
      for (let count = 0; count < WRITES_EACH; count += 1) {
        await write(own);
        writes += 1;
        if (writes % CUT_EVERY_WRITES === 0) cut();
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => writeAll(writer)));
    await converge(server, clients);

    expect(clients.flatMap(stepsBack)).toEqual([]);
    for (const { flags } of clients) expect(flags.status().counters).toMatchObject({ malformed: 0, resyncs: 0 });
    for (let count = 0; count < CONTEXTS; count += 1) await compare(oddContext(random), clients);
  });
});

async function createDocuments(random: SeededRandom): Promise<void> {
  for (const key of segmentKeys) {
    expect((await server.request("PUT", `/api/v1/segments/${key}`, oddSegment(random))).status).toBe(201);
  }
  for (const key of flagKeys) {
    expect((await server.request("POST", "/api/v1/flags", oddFlag(random, key))).status).toBe(201);
  }
}

/** Four SDKs on a good network, and six whose connections `cut` ends. */
async function connectClients(): Promise<{ readonly clients: readonly ObservedClient[]; cut(): void }> {
  const proxy = await startTcpProxy({ port: server.port });
  onTestFinished(() => proxy.close());
  const urls = Array.from({ length: 10 }, (_, index) => (index < 4 ? server.url : `http://127.0.0.1:${proxy.port}`));
  const clients = urls.map((url) => observe({ url, token: sdkToken(server) }));
  onTestFinished(async () => {
    await Promise.all(clients.map(({ flags }) => flags.close()));
  });
  await Promise.all(clients.map(({ flags }) => flags.ready()));
  return { clients, cut: () => proxy.reset() };
}

/** One request at random. What comes of it is a success or a refusal by the catalogue, never an accident. */
async function write(random: SeededRandom): Promise<void> {
  const flag = flagKeys[random.below(flagKeys.length)] ?? "";
  const [method, path, body] = requestFor(flag, random);
  const response = await server.request(method, path, body, method === "PUT" ? { "if-match": "*" } : {});
  const answer = await response.text();
  const isOrderly = response.ok || [400, 409, 412].includes(response.status);
  if (!isOrderly) expect.fail(`${method} ${path} ${JSON.stringify(body)}: ${response.status} ${answer}`);
}

function requestFor(flag: string, random: SeededRandom): readonly [method: string, path: string, body: unknown] {
  const configuration = `/api/v1/environments/production/flags/${flag}`;
  const reason = "a storm";
  const whole = oddConfiguration(random, { flagKeys, segmentKeys, self: flag });
  const [name, value] = random.pick(Object.entries(whole) as [[string, unknown], ...[string, unknown][]]);
  switch (
    random.pick(["put", "patch", "patch", "patch", "kill", "restore", "reshuffle", "segment", "describe", "many"])
  ) {
    case "put":
      return ["PUT", configuration, whole];
    case "kill":
      return ["POST", `${configuration}/kill`, { reason }];
    case "restore":
      return ["POST", `${configuration}/restore`, { reason }];
    case "reshuffle":
      return ["POST", `${configuration}/reshuffle`, { reason }];
    case "segment":
      return ["PUT", `/api/v1/segments/${segmentKeys[random.below(segmentKeys.length)]}`, oddSegment(random)];
    case "describe":
      return ["PATCH", `/api/v1/flags/${flag}`, { metadata: { toString: `said ${random.below(1_000)}` } }];
    case "many":
      return ["POST", "/api/v1/environments/production/kill", { flags: [flag, flagKeys[0]], reason }];
    default:
      return ["PATCH", configuration, { [name]: value }];
  }
}

async function compare(context: Record<string, unknown>, clients: readonly ObservedClient[]): Promise<void> {
  const response = await server.request("POST", "/api/v1/environments/production/evaluate", { context });
  expect(response.status).toBe(200);
  const said = ((await response.json()) as { flags: Record<string, { trace: unknown }> }).flags;
  expect(Object.keys(said).sort()).toEqual([...flagKeys].sort());
  for (const key of flagKeys) {
    const { trace: _trace, ...expected } = said[key] ?? { trace: null };
    for (const { flags } of clients) {
      const { revision: _revision, ageMs: _ageMs, ...decided } = flags.evaluate(key, context);
      expect({ key, context, ...decided }).toEqual({ key, context, ...expected });
    }
  }
}
