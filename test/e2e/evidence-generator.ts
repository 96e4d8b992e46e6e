import { appendFileSync } from "node:fs";
import type { EvidenceCell, TelemetryBatch } from "@bunting/contracts";
import { createSeededRandom, type SeededRandom } from "@bunting/testkit";

/*
 * A process that reports evidence as an SDK does, over a bad network: of its sends 30 % are lost, 30 % of the answers too,
 * 30 % are doubled, and old batches come again behind newer ones. It writes each batch down before it sends it, so that
 * whoever kills it knows what it may have sent. SIGTERM lets it finish the batch it is at.
 */

interface Orders {
  readonly url: string;
  readonly token: string;
  readonly journal: string;
  readonly rollout: string;
  readonly instance: string;
  readonly boot: string;
  readonly seed: number;
}

/** One line of the journal each. */
export type JournalEntry = { readonly batch: TelemetryBatch } | { readonly acknowledged: number };

const FAULT_RATE = 0.3;

async function generate(orders: Orders): Promise<void> {
  const random = createSeededRandom(orders.seed);
  const note = (entry: JournalEntry): void => appendFileSync(orders.journal, `${JSON.stringify(entry)}\n`);
  const sent: TelemetryBatch[] = [];
  let isEnding = false;
  process.on("SIGTERM", () => {
    isEnding = true;
  });

  for (let sequence = 1; !isEnding; sequence += 1) {
    const batch = makeBatch(orders, sequence, random);
    note({ batch });
    sent.push(batch);
    for (let acknowledged = 0; acknowledged < sequence; ) {
      const answer = await deliver(orders, batch, sent, random);
      if (answer === null) continue;
      if (answer < sequence - 1)
        throw new Error(`Batch ${sequence - 1} was acknowledged, and now ${answer} is the last.`);
      acknowledged = answer;
    }
    note({ acknowledged: sequence });
  }
}

/** The sequence that is answered, or null if no answer came. */
async function deliver(
  orders: Orders,
  batch: TelemetryBatch,
  sent: readonly TelemetryBatch[],
  random: SeededRandom,
): Promise<number | null> {
  if (random.next() < FAULT_RATE) return null;
  const isAnswerLost = random.next() < FAULT_RATE;
  const copies = random.next() < FAULT_RATE ? 2 : 1;
  const late = random.next() < FAULT_RATE ? sent[random.below(sent.length)] : undefined;
  const sends = Array.from({ length: copies }, () => post(orders, batch));
  if (late) sends.push(post(orders, late));
  const [answer = null] = await Promise.all(sends);
  return isAnswerLost ? null : answer;
}

async function post({ url, token }: Orders, batch: TelemetryBatch): Promise<number | null> {
  try {
    const response = await fetch(`${url}/sdk/v1/telemetry`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(batch),
    });
    if (response.status !== 200) return null;
    return ((await response.json()) as { sequence: number }).sequence;
  } catch {
    // The server is being killed or started: not a busy loop.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return null;
  }
}

function makeBatch({ rollout, instance, boot }: Orders, sequence: number, random: SeededRandom): TelemetryBatch {
  const interval = Math.floor(Date.now() / 10_000) - random.below(6);
  const evidence = ["on", "off"].map((variant): EvidenceCell => {
    const errorCount = random.below(5);
    const outcomeCount = errorCount + random.below(50);
    return {
      rollout,
      attempt: 1,
      stage: random.below(2),
      variant: variant as EvidenceCell["variant"],
      interval,
      exposureCount: outcomeCount + random.below(5),
      unitCount: outcomeCount,
      outcomeCount,
      errorCount,
      unitErrorCount: errorCount,
      uncheckedCount: random.below(2),
      groups: [[random.below(32), outcomeCount, outcomeCount, errorCount, errorCount]],
      sketch: [[random.below(400), outcomeCount]],
      ladder: [[random.below(32), random.below(14), errorCount]],
      metrics: {
        conversion: {
          eventCount: 3,
          unitEventCount: 2,
          sum: random.below(100),
          sumOfSquares: random.below(1_000),
          groups: [[random.below(32), 2]],
        },
      },
    };
  });
  const cells = evidence.map(({ variant, exposureCount }) => ({ flag: "exact", variant, exposures: exposureCount }));
  return { instance, boot, sequence, from: 0, to: 0, ageMs: 0, cells, evidence };
}

const [, program, orders] = process.argv;
if (program?.endsWith("evidence-generator.ts") && orders !== undefined) await generate(JSON.parse(orders) as Orders);
