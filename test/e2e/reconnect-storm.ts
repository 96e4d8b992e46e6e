import {
  createSeededRandom,
  eventually,
  type ServerProcess,
  startServerProcess,
  startTcpProxy,
  type TcpProxy,
} from "@bunting/testkit";
import { converge, createFlag, type ObservedClient, observe, sdkToken, setPercent } from "./observed-client.ts";

export interface StormPlan {
  readonly seed: number;
  readonly proxyCount: number;
  readonly clientsPerProxy: number;
  /** Each proxy resets all its connections this often; the shortest pause between two is `calmMs`. */
  readonly resetsPerProxy: number;
  readonly calmMs: number;
  readonly changesPerSecond: number;
}

export interface Storm {
  readonly clients: readonly ObservedClient[];
  readonly disconnects: number;
  /** Revisions that the server acknowledged to the one who wrote them, in order. */
  readonly written: readonly number[];
  readonly largestBacklogAfterQuiet: number;
  readonly purgeMs: number;
}

/** Sum of sessions' backlog as the operator sees it. */
async function backlogs(server: ServerProcess): Promise<number[]> {
  const found: number[] = [];
  let cursor: string | null = null;
  do {
    const query = `limit=200${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
    const response = await server.request("GET", `/api/v1/environments/production/instances?${query}`);
    const page = (await response.json()) as {
      items: { backlog: number; connected: boolean }[];
      nextCursor: string | null;
    };
    found.push(...page.items.filter(({ connected }) => connected).map(({ backlog }) => backlog));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found;
}

/**
 * Many SDKs behind proxies that cut their connections at random while flags change. Ends when everything is quiet, every
 * client is at the head, and every session has acknowledged it.
 */
export async function runStorm(plan: StormPlan, use: (storm: Storm) => void | Promise<void>): Promise<void> {
  const random = createSeededRandom(plan.seed);
  const server = await startServerProcess();
  let over = false;
  const diedEarly = server.exited.then(({ code, signal }) => {
    if (!over)
      throw new Error(
        `The server ended (${code ?? signal}) in the storm. Its output:\n${server.output().slice(-4_000)}`,
      );
  });
  diedEarly.catch(() => {}); // Also raced below; without this the loser of the race would be unhandled.
  const proxies: TcpProxy[] = [];
  const clients: ObservedClient[] = [];
  try {
    await createFlag(server, "moving");
    // A ruleset so large that what a client misses is always less: everything arrives as patches, none of it as a snapshot.
    for (let filler = 0; filler < 100; filler += 1) await createFlag(server, `filler-${filler}`);
    for (let index = 0; index < plan.proxyCount; index += 1) proxies.push(await startTcpProxy({ port: server.port }));
    for (const proxy of proxies) {
      for (let index = 0; index < plan.clientsPerProxy; index += 1) {
        clients.push(
          observe({
            url: `http://127.0.0.1:${proxy.port}`,
            token: sdkToken(server),
            instance: `storm-${clients.length}`,
          }),
        );
      }
    }
    await Promise.all(clients.map(({ flags }) => flags.ready({ timeoutMs: 30_000 })));

    const written: number[] = [];
    let storming = true;
    const writing = (async () => {
      for (let step = 1; storming; step += 1) {
        const response = await setPercent(server, "moving", step % 100);
        const { position } = (await response.json()) as { position: { revision: number } };
        written.push(position.revision);
        await pause(1000 / plan.changesPerSecond);
      }
    })();
    const cutting = proxies.map(async (proxy) => {
      let disconnects = 0;
      for (let count = 0; count < plan.resetsPerProxy; count += 1) {
        await pause(plan.calmMs * (1 + random.next()));
        disconnects += Math.min(proxy.connections, plan.clientsPerProxy);
        proxy.reset();
      }
      return disconnects;
    });
    const stormed = Promise.all(cutting).then((counts) => {
      storming = false;
      return counts.reduce((sum, count) => sum + count, 0);
    });
    const [disconnects] = await Promise.race([Promise.all([stormed, writing]), diedEarly.then(() => Promise.reject())]);
    await converge(server, clients);
    const quietSince = performance.now();
    await eventually(async () => (await backlogs(server)).every((backlog) => backlog <= 5), {
      what: "backlogs of at most 5",
    });
    const purgeMs = performance.now() - quietSince;
    const largestBacklogAfterQuiet = Math.max(...(await backlogs(server)));
    await use({ clients, disconnects, written, largestBacklogAfterQuiet, purgeMs });
  } finally {
    over = true;
    await Promise.all(clients.map(({ flags }) => flags.close()));
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await server.dispose();
  }
}

/** The load's own rhythm, not something that a test waits for. */
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
