import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { createAddressService } from "./demo/address-service.ts";
import { createAdmin } from "./demo/admin.ts";
import { type Fleet, startFleet } from "./demo/fleet.ts";
import { duration } from "./demo/format.ts";
import { breakers } from "./demo/outage.ts";
import { promote, rollBack } from "./demo/rollouts.ts";
import { createScreen } from "./demo/screen.ts";
import { type FlagServer, startServer } from "./demo/server.ts";
import { kill, PATIENCE_MS, ramp, type Stage } from "./demo/story.ts";
import { startTraffic, type Traffic } from "./demo/traffic.ts";
import { pause, until } from "./demo/until.ts";
import { ADDRESS_FLAG, CHECKOUT_FLAG } from "./shop.ts";

const { values: options } = parseArgs({
  options: {
    instances: { type: "string", default: "200" },
    seconds: { type: "string", default: "3" },
    rate: { type: "string", default: "500" },
    stages: { type: "string", default: "25,100" },
  },
});
const instances = positive(options.instances);
const secondsPerStep = positive(options.seconds);
const perSecond = positive(options.rate);
const stages = options.stages.split(",").map(positive);

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
  await admin.createFlag(CHECKOUT_FLAG, "One page instead of five steps");
  await admin.createFlag(ADDRESS_FLAG, "Addresses come from the address service");
  screen.say(
    `${server.url} was ready after ${duration(performance.now() - start)}. Its flags are express-checkout and address-lookup, off for all.`,
  );

  screen.chapter(`${instances} instances of a shop connect, each with an SDK of its own`);
  const connecting = performance.now();
  const addresses = createAddressService();
  const started = startFleet(server, instances, addresses);
  fleet = started;
  await screen.watch(
    () => `${started.live()}/${instances} instances are live`,
    until("every instance to be live", PATIENCE_MS, () => started.live() === instances),
  );
  screen.say(
    `That took ${duration(performance.now() - connecting)}. From now on customers arrive, ${perSecond} a second.`,
  );
  traffic = startTraffic({ shops: started.shops, perSecond });
  const look: Stage["look"] = (line) => screen.watch(line, pause(secondsPerStep * 1000));
  const stage: Stage = {
    server,
    admin,
    fleet: started,
    traffic,
    addresses,
    screen,
    perSecond,
    secondsPerStep,
    stages,
    look,
    claim,
  };

  screen.chapter("By hand: the new checkout goes to 10 % of the customers");
  await ramp(stage, 10);

  screen.chapter("It loses postal addresses. Somebody kills the flag");
  await kill(stage);
  await admin.setShare(CHECKOUT_FLAG, 0);
  await admin.restore(CHECKOUT_FLAG, "Addresses are kept");

  screen.chapter("By evidence: it is repaired, and proves itself stage by stage");
  await promote(stage);

  screen.chapter("The next change is a bad one: it fails at 5 %");
  await rollBack(stage);

  screen.chapter("The server is gone, and the canary burns");
  await breakers(stage);
}

async function cleanUp(): Promise<void> {
  await traffic?.stop();
  await Promise.all([fleet?.close(), server?.kill()]);
  await rm(folder, { recursive: true, force: true });
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0) return number;
  console.error(
    `Cannot run the demonstration: --instances, --seconds, --rate and --stages are positive numbers, not ${text}.`,
  );
  process.exit(2);
}
