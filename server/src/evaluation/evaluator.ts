import type {
  Context,
  EnvironmentKey,
  EvaluateResponse,
  EvaluationResult,
  FlagKey,
  TraceStep,
} from "@bunting/contracts";
import { type CompiledRuleset, compileRuleset } from "@bunting/engine";
import type { Ledger } from "../ledger/ledger.ts";

type Explained = EvaluationResult & { trace: TraceStep[] };

/** Decides flags as an SDK of the environment would, with the same engine on the same ruleset, and says why. */
export interface Evaluator {
  /** `flags`: those asked for, or all. Undefined if the environment has no ruleset: it is archived. */
  evaluate(environment: EnvironmentKey, context: Context, flags?: readonly FlagKey[]): EvaluateResponse | undefined;
}

export function createEvaluator(ledger: Pick<Ledger, "ruleset">): Evaluator {
  // The last compilation of each environment: the next one takes from it what did not change.
  const compiled = new Map<EnvironmentKey, CompiledRuleset>();

  const current = (environment: EnvironmentKey): CompiledRuleset | undefined => {
    const ruleset = ledger.ruleset(environment);
    if (!ruleset) return undefined;
    const known = compiled.get(environment);
    if (known && known.ruleset.epoch === ruleset.epoch && known.ruleset.revision === ruleset.revision) return known;
    const made = compileRuleset(ruleset, known);
    compiled.set(environment, made);
    return made;
  };

  return {
    evaluate(environment, context, flags) {
      const ruleset = current(environment);
      if (!ruleset) return undefined;
      const { epoch, revision } = ruleset.ruleset;
      const keys = flags ?? (Object.keys(ruleset.ruleset.flags) as FlagKey[]);
      const results = keys.map((key) => [key, explain(ruleset, key, context)] as const);
      return { position: { epoch, revision }, flags: Object.fromEntries(results) as EvaluateResponse["flags"] };
    },
  };
}

function explain(ruleset: CompiledRuleset, key: FlagKey, context: Context): Explained {
  const flag = ruleset.flags.get(key);
  if (!flag) {
    const trace: TraceStep[] = [{ step: "error", name: "flag_not_found", matched: true }];
    return {
      value: null,
      variant: null,
      reason: "ERROR",
      detail: "flag_not_found",
      errorCode: "FLAG_NOT_FOUND",
      trace,
    };
  }
  const { decision, trace } = flag.explain(context);
  return { ...flag.describe(decision), trace };
}
