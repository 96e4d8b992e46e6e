import { runStorm } from "../../e2e/reconnect-storm.ts";

/*
 * Reconnect under random disconnects: 500 real SDKs, about 1,500 cuts, 5 changes a second. Prints how long a client was
 * without its stream, from noticing the cut to being live again with everything it missed. One process holds all clients and
 * proxies, another the server: on two cores that is the crowd of a whole data centre on one desk.
 */

const seed = Number(process.argv[2] ?? Date.now() % 1_000_000);
console.log(
  `Cutting 500 SDKs three times each while a flag moves (seed ${seed}; repeat with: npm run bench -- reconnect ${seed}).`,
);

await runStorm(
  { seed, proxyCount: 50, clientsPerProxy: 10, resetsPerProxy: 3, calmMs: 6_000, changesPerSecond: 5 },
  ({ clients, disconnects, written, largestBacklogAfterQuiet, purgeMs }) => {
    const outages = clients.flatMap(({ outagesMs }) => outagesMs).sort((a, b) => a - b);
    const at = (quantile: number): string =>
      `${Math.round(outages[Math.floor(quantile * (outages.length - 1))] ?? 0)} ms`;
    const polled = clients.flatMap(({ applied }) => applied).filter(({ transport }) => transport === "poll").length;
    console.log(`disconnects          ${disconnects}, changes written ${written.length}`);
    console.log(
      `stream back after    p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}, max ${at(1)}   (bar: p95 <= 300 ms)`,
    );
    console.log(`states by polling    ${polled} of ${clients.reduce((sum, { applied }) => sum + applied.length, 0)}`);
    console.log(`largest backlog      ${largestBacklogAfterQuiet} after the last ack (bar: 5)`);
    console.log(`backlogs gone after  ${Math.round(purgeMs)} ms (bar: 1,000 ms)`);
  },
);
