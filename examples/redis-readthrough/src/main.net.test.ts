import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import {
  type Child,
  eventually,
  freePort,
  type RedisProcess,
  type ServerProcess,
  startChild,
  startRedisProcess,
  startServerProcess,
  whyNoRedis,
} from "@bunting/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const FLAG = "redis-readthrough";
const OVERRIDE = "SESSION_REDIS_READTHROUGH_ENABLED";

const whyNot = whyNoRedis();
if (whyNot) console.warn(`Skipped: the game-session service with Redis. ${whyNot}`);

/** Three kinds of real processes: Redis, the flag server, and the service as `npm start` runs it. */
describe.skipIf(whyNot)("the game-session service", () => {
  let redis: RedisProcess;
  let server: ServerProcess;
  let folder: string;
  const services: Service[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "game-sessions-"));
    [redis, server] = await Promise.all([startRedisProcess(), startServerProcess()]);
    const created = await server.request("POST", "/api/v1/flags", { key: FLAG, tags: ["redis"] });
    if (created.status !== 201) throw new Error(`The flag was not created: ${await created.text()}`);
  });
  afterEach(async () => {
    for (const service of services.splice(0)) await service.stop();
  });
  afterAll(async () => {
    await Promise.all([server?.dispose(), redis?.dispose()]);
    await rm(folder, { recursive: true });
  });

  it("fails no look-up while the flag is flipped under load, nor when Redis dies with the flag on", async () => {
    const service = await start();
    const load = await startLoad(service);
    const hits = () => service.count("game_session_cache_hits_total");
    const fromDatabase = () => service.count("game_session_lookups_total", 'source="database"');

    await load.goesOn();
    expect(await hits()).toBe(0);
    for (const percent of [10, 100, 0, 50, 100]) {
      await setShare(percent);
      await load.goesOn();
    }
    const hitsBefore = await hits();
    expect(hitsBefore).toBeGreaterThan(0);
    await eventually(async () => (await hits()) > hitsBefore + 100, { what: "hits with the flag on for everyone" });

    await redis.kill();
    await eventually(async () => (await service.count("game_session_cache_circuit_open")) === 1, {
      what: "the circuit",
    });
    const readBefore = await fromDatabase();
    await load.goesOn();
    expect(await fromDatabase()).toBeGreaterThan(readBefore);
    expect(await service.count("game_session_cache_errors_total")).toBeGreaterThan(0);

    await redis.restart();
    const hitsOfDeadRedis = await hits();
    await eventually(async () => (await hits()) > hitsOfDeadRedis + 100, {
      what: "hits of the new Redis",
      withinMs: 30_000,
    });

    const { lookups, failures } = await load.stop();
    expect(failures).toEqual([]);
    expect(lookups).toBeGreaterThan(1000);
    const logged = service.logged("GameSessionRegistryRedis");
    expect(logged).toContain("Redis fails; sessions are read from the database");
    expect(logged).toContain("Redis works again; sessions are read through it");
  });

  it("leaves Redis alone from the kill's receipt on", async () => {
    await setShare(100);
    const service = await start();
    const load = await startLoad(service);
    await eventually(async () => (await service.count("game_session_cache_hits_total")) > 0);
    await kill();
    await load.pause(); // Look-ups that were under way when the kill arrived end here.
    const before = await redisTraffic(service);
    load.resume();
    await load.goesOn();
    expect(await redisTraffic(service)).toEqual(before);
    expect((await load.stop()).failures).toEqual([]);
    await restore();
  });

  describe("SESSION_REDIS_READTHROUGH_ENABLED", () => {
    it("set to false wins over a flag that is on", async () => {
      await setShare(100);
      const service = await start({ [OVERRIDE]: "false" });
      await lookUpOften(service);
      expect(await redisTraffic(service)).toEqual([0, 0, 0]);
    });

    it("set to true wins over a flag that is off, but not over a kill", async () => {
      await setShare(0);
      const service = await start({ [OVERRIDE]: "true" });
      await lookUpOften(service);
      expect(await service.count("game_session_cache_hits_total")).toBeGreaterThan(0);

      await kill();
      const before = await redisTraffic(service);
      await lookUpOften(service);
      expect(await redisTraffic(service)).toEqual(before);
      await restore();
      await eventually(async () => {
        await lookUpOften(service);
        return (await redisTraffic(service))[0] !== before[0];
      });
    });

    it("that is empty is not set", async () => {
      await setShare(100);
      const service = await start({ [OVERRIDE]: "" });
      await lookUpOften(service);
      expect(await service.count("game_session_cache_hits_total")).toBeGreaterThan(0);
    });
  });

  it.each([
    { NODE_ENV: "staging", override: undefined, reads: true },
    { NODE_ENV: "production", override: undefined, reads: false },
    { NODE_ENV: "staging", override: "false", reads: false },
    { NODE_ENV: "production", override: "true", reads: true },
  ])("without any flag server, NODE_ENV $NODE_ENV and override $override read through Redis: $reads", async (given) => {
    const offline = { BUNTING_URL: undefined, BUNTING_TOKEN: undefined };
    const service = await start({ ...offline, NODE_ENV: given.NODE_ENV, [OVERRIDE]: given.override });
    await lookUpOften(service);
    expect((await service.count("game_session_cache_hits_total")) > 0).toBe(given.reads);
  });

  it("finds Redis by SESSION_REDIS_HOST and SESSION_REDIS_PORT as well", async () => {
    const service = await start({
      SESSION_REDIS_URL: undefined,
      SESSION_REDIS_HOST: "127.0.0.1",
      SESSION_REDIS_PORT: String(redis.port),
      [OVERRIDE]: "on",
    });
    await lookUpOften(service);
    expect(await service.count("game_session_cache_hits_total")).toBeGreaterThan(0);
  });

  async function start(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    const service = await startService({
      SESSION_DATABASE_FILE: path.join(folder, `${services.length}-${Date.now()}.sqlite`),
      SESSION_REDIS_URL: redis.url,
      BUNTING_URL: server.url,
      BUNTING_TOKEN: server.firstRun.sdkTokens.production,
      XDG_CACHE_HOME: folder,
      ...env,
    });
    services.push(service);
    return service;
  }

  async function change(method: string, path_: string, body: object): Promise<void> {
    const answer = await server.request(method, `/api/v1/environments/production/flags/${FLAG}${path_}`, body);
    expect({ status: answer.status, body: await answer.clone().text() }).toMatchObject({ status: 200 });
    const { position } = (await answer.json()) as { position: { revision: number } };
    const receipt = await server.request(
      "GET",
      `/api/v1/environments/production/receipts/${position.revision}?waitMs=20000`,
    );
    expect(await receipt.json()).toMatchObject({ complete: true });
  }
  const setShare = (on: number) => change("PATCH", "", { fallthrough: { split: { on, off: 100 - on } } });
  const kill = () => change("POST", "/kill", { reason: "Redis fails over" });
  const restore = () => change("POST", "/restore", { reason: "It is back" });
});

/** Commands that Redis was asked, by what came of them. */
async function redisTraffic(service: Service): Promise<number[]> {
  const names = ["hits", "misses", "errors"].map((name) => `game_session_cache_${name}_total`);
  return Promise.all(names.map((name) => service.count(name)));
}

async function lookUpOften(service: Service): Promise<void> {
  const game = await service.join();
  for (let look = 0; look < 30; look++) expect((await game.lookUp()).sequence).toBe(0);
}

interface Service {
  join(): Promise<{
    lookUp(): Promise<{ sequence: number }>;
    move(): Promise<number>;
    acknowledge(sequence: number): Promise<void>;
  }>;
  /** Sum of a metric over its labels, or over those lines that hold the given label. */
  count(metric: string, label?: string): Promise<number>;
  /** Messages it logged in this context. */
  logged(context: string): string[];
  stop(): Promise<void>;
}

async function startService(env: NodeJS.ProcessEnv): Promise<Service> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const inherited = Object.entries(process.env).filter(([name]) => !/^(BUNTING_|SESSION_|NODE_ENV)/.test(name));
  const child: Child = await startChild({
    command: process.execPath,
    args: ["--conditions=@bunting/source", "--import", "tsx", path.join(import.meta.dirname, "main.ts")],
    env: { ...Object.fromEntries(inherited), PORT: String(port), ...env },
  });
  await child.printed(/Serving game sessions/, 60_000);
  await eventually(() => child.output().includes("Connected to Redis"), { what: "the service to reach Redis" });

  const ask = async (
    method: string,
    where: string,
    options: { token?: string; body?: object } = {},
  ): Promise<unknown> => {
    const answer = await fetch(url + where, {
      method,
      headers: { authorization: `Bearer ${options.token}`, "content-type": "application/json" },
      ...(options.body ? { body: JSON.stringify(options.body) } : {}),
    });
    if (!answer.ok) throw new Error(`${method} ${where} was answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };

  return {
    async join() {
      const joined = (await ask("POST", "/sessions", { body: { players: ["ann", "bob"] } })) as {
        session: { id: string };
        resumeTokens: Record<string, string>;
      };
      const here = `/sessions/${joined.session.id}`;
      const [ann = "", bob = ""] = Object.values(joined.resumeTokens);
      const say = (token: string, body: object) => ask("POST", `${here}/messages`, { token, body });
      return {
        lookUp: async () => ((await ask("GET", here, { token: ann })) as { session: { sequence: number } }).session,
        move: async () =>
          ((await say(ann, { type: "GAME_MOVE", move: "e4" })) as { event: { sequence: number } }).event.sequence,
        acknowledge: async (sequence) => {
          for (const token of [ann, bob]) await say(token, { type: "GAME_ACK", sequence });
        },
      };
    },
    async count(metric, label = "") {
      const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
      const counted = lines.filter((line) => new RegExp(`^${metric}[ {]`).test(line) && line.includes(label));
      return counted.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    },
    logged: (context) =>
      child
        .output()
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as { context?: string; msg: string })
        .filter((entry) => entry.context === context)
        .map((entry) => entry.msg),
    async stop() {
      await child.end("SIGTERM");
      expect((await child.exited).code).toBe(0);
    },
  };
}

/** Twenty games at once. Each plays, acknowledges and looks, and what it sees must hold its own last move. */
async function startLoad(service: Service) {
  const failures: string[] = [];
  let lookups = 0;
  let running = true;
  let gate = Promise.resolve();
  let open: () => void = () => {};
  let waiting = 0;

  const play = async (): Promise<void> => {
    const game = await service.join();
    while (running) {
      waiting++;
      await gate;
      waiting--;
      try {
        const sequence = await game.move();
        for (let look = 0; look < 5; look++) {
          const seen = (await game.lookUp()).sequence;
          if (seen !== sequence) failures.push(`saw event ${seen} after event ${sequence}`);
          lookups++;
        }
        await game.acknowledge(sequence);
      } catch (error) {
        failures.push(String(error));
      }
    }
  };
  const games = Array.from({ length: 20 }, play);

  return {
    /** Until many more look-ups have been answered. */
    async goesOn(): Promise<void> {
      const from = lookups;
      await eventually(() => lookups >= from + 200, { what: "200 more look-ups", withinMs: 30_000 });
    },
    async pause(): Promise<void> {
      gate = new Promise((resolve) => {
        open = resolve;
      });
      await eventually(() => waiting === games.length, { what: "every game to stand still" });
    },
    resume: (): void => open(),
    async stop(): Promise<{ lookups: number; failures: string[] }> {
      running = false;
      open();
      await Promise.all(games);
      return { lookups, failures };
    },
  };
}
