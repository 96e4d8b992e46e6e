import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Fault } from "./logic/body.ts";

export interface Settings {
  /** How long a second of the scenario takes. The time after which an unused version is collected is one of its seconds too. */
  readonly pace: number;
  /** What the second version does in the fourth phase. */
  readonly fault: Fault;
  /** The file of the second version. */
  readonly v2: URL;
  /** Whether a rollout of the server follows, which takes half a minute whatever the pace. */
  readonly gate: boolean;
}

const FAULTS: readonly Fault[] = ["exception", "stall", "corruption"];

/** @throws TypeError for an option that makes no sense. */
export function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      pace: { type: "string", default: "1" },
      fault: { type: "string", default: "exception" },
      v2: { type: "string" },
      gate: { type: "boolean", default: false },
    },
  });
  const pace = Number(values.pace);
  if (!(pace > 0 && pace <= 10)) throw new TypeError(`--pace is a number above 0 and up to 10, not ${values.pace}`);
  const fault = FAULTS.find((known) => known === values.fault);
  if (fault === undefined) throw new TypeError(`--fault is one of ${FAULTS.join(", ")}, not ${values.fault}`);
  const v2 = values.v2 === undefined ? new URL("./logic/v2.ts", import.meta.url) : pathToFileURL(values.v2);
  return { pace, fault, v2, gate: values.gate };
}
