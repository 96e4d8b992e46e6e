import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { createAdmin } from "./demo/admin.ts";
import { type Fleet, startFleet } from "./demo/fleet.ts";
import { duration } from "./demo/format.ts";
import { createScreen } from "./demo/screen.ts";
import { type FlagServer, startServer } from "./demo/server.ts";
import { crash, kill, ramp, type Stage } from "./demo/story.ts";
import { startTraffic, type Traffic } from "./demo/traffic.ts";
import { until } from "./demo/until.ts";

const { values: options } = parseArgs({
  options: {
    instances: { type: "string", default: "200" },
    seconds: { type: "string", default: "8" },
    rate: { type: "string", default: "500" },
  },
});
const instances = positive(options.instances);
const secondsPerStep = positive(options.seconds);
const perSecond = positive(options.rate);

const screen = createScreen(process.stdout, { color: process.stdout.isTTY === true && !process.env.NO_COLOR });
const broken: string[] = [];
const claim: Stage["claim"] = (holds, text) => {
  screen.claim(holds, text);
  if (!holds) broken.push(text);
};

const folder = await mkdtemp(path.join(os.tmpdir(), "bunting-demo-"));
const begun = performance.now();
let server: FlagServer | undefined;
let fleet: Fleet | undefined;
let traffic: Traffic | undefined;
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    screen.end(`Interrupted by ${signal}.`);
    void cleanUp().finally(() => process.exit(1));
  });
}
try {
  await tell();
} catch (error) {
  broken.push(String(error));
  console.error(error);
} finally {
  await cleanUp();
}
const took = `${duration(performance.now() - begun)}`;
screen.end(broken.length === 0 ? `Every claim held. It took ${took}.` : `${broken.length} claims did not hold:`);
for (const text of broken) screen.say(text);
process.exitCode = broken.length === 0 ? 0 : 1;

async function tell(): Promise<void> {
  screen.chapter("A flag server starts in an empty folder");
  const start = performance.now();
  server = await startServer(folder);
  const admin = createAdmin(server);
  await admin.createFlag();
  screen.say(
    `${server.url} was ready after ${duration(performance.now() - start)}. Its first flag is express-checkout, off for all.`,
  );

  screen.chapter(`${instances} instances of a shop connect, each with an SDK of its own`);
  const connecting = performance.now();
  const started = startFleet(server, instances);
  fleet = started;
  await screen.watch(
    () => `${started.live()}/${instances} instances are live`,
    until("every instance to be live", 30_000, () => started.live() === instances),
  );
  screen.say(
    `That took ${duration(performance.now() - connecting)}. From now on customers arrive, ${perSecond} a second.`,
  );
  traffic = startTraffic({ shops: started.shops, perSecond });
  const stage: Stage = { server, admin, fleet: started, traffic, screen, secondsPerStep, claim };

  screen.chapter("The new checkout goes to 1 %, then to 10 % of the customers");
  await ramp(stage, 1);
  await ramp(stage, 10);

  screen.chapter("On the way to 50 % the server is killed");
  await crash(stage, 50);

  screen.chapter("Everybody gets the new checkout");
  await ramp(stage, 100);

  screen.chapter("It loses postal addresses. Somebody kills the flag");
  await kill(stage);
}

async function cleanUp(): Promise<void> {
  await traffic?.stop();
  await Promise.all([fleet?.close(), server?.kill()]);
  await rm(folder, { recursive: true, force: true });
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0) return number;
  console.error(`Cannot run the demonstration: --instances, --seconds and --rate are positive numbers, not ${text}.`);
  process.exit(2);
}
