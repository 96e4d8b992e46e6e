/** A pass evaluates something for every user and returns how many were served: somebody must want the result. */
export type Pass = () => number | Promise<number>;

const WARM_UP_MS = 300;
const BATCH_MS = 20;
const BATCHES = 15;
/** Where a batch takes long, fewer of them will do. */
const LEAST_BATCHES = 5;
const ENOUGH_MS = 1_000;

/**
 * Nanoseconds per evaluation, of process CPU time, for some batches of at least {@link BATCH_MS}. CPU time, because on a shared machine
 * wall time measures the neighbours; all threads of the process, because garbage is collected on others.
 */
export async function measureTime(pass: Pass, evaluations: number): Promise<readonly number[]> {
  const perPass = await warmUp(pass);
  const passes = Math.max(1, Math.ceil(BATCH_MS / perPass));
  const samples: number[] = [];
  let served = 0;
  const started = performance.now();
  while (samples.length < BATCHES && (samples.length < LEAST_BATCHES || performance.now() - started < ENOUGH_MS)) {
    const before = process.cpuUsage();
    for (let index = 0; index < passes; index++) {
      const result = pass();
      served += typeof result === "number" ? result : await result;
    }
    const { user, system } = process.cpuUsage(before);
    samples.push(((user + system) * 1000) / (passes * evaluations));
  }
  swallow(served);
  return samples;
}

/** What a young generation as large as {@link YOUNG_MB} holds without being collected, with room to spare. */
const ROOM_BYTES = 60_000_000;
export const YOUNG_MB = 128;

/**
 * Bytes allocated per evaluation: the heap's difference over passes that together fit into the young generation, so that
 * nothing is collected in between. Needs --expose-gc and --min-semi-space-size.
 */
export async function measureBytes(pass: Pass, evaluations: number): Promise<readonly number[]> {
  await warmUp(pass);
  const once = await allocated(pass, 1);
  const passes = Math.min(300, Math.max(1, Math.floor(ROOM_BYTES / Math.max(1, once))));
  const samples: number[] = [];
  for (let sample = 0; sample < 5; sample++) samples.push((await allocated(pass, passes)) / (passes * evaluations));
  return samples;
}

async function allocated(pass: Pass, passes: number): Promise<number> {
  if (globalThis.gc === undefined) throw new Error("Bytes are measured with --expose-gc.");
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  let served = 0;
  for (let index = 0; index < passes; index++) {
    const result = pass();
    served += typeof result === "number" ? result : await result;
  }
  const bytes = process.memoryUsage().heapUsed - before;
  swallow(served);
  return Math.max(0, bytes);
}

/** Runs until compiled, and says how many milliseconds a pass takes then. */
async function warmUp(pass: Pass): Promise<number> {
  const started = performance.now();
  let last = started;
  let served = 0;
  let fastest = Number.POSITIVE_INFINITY;
  do {
    served += await pass();
    const now = performance.now();
    fastest = Math.min(fastest, now - last);
    last = now;
  } while (last - started < WARM_UP_MS);
  swallow(served);
  return fastest;
}

/** Keeps a result alive in a way no compiler sees through. */
function swallow(served: number): void {
  if (served < 0) console.log(served);
}
