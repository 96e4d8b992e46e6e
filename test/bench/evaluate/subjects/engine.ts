import { type CompiledFlag, compileRuleset, variantIndexOf } from "@bunting/engine";
import type { Subject } from "../subject.ts";
import { ruleset, USERS } from "../workload.ts";

/** The floor: the bare decision, looked up by name, without counting. */
export function create(): Subject {
  const { flags } = compileRuleset(ruleset());
  const users = USERS.map(({ key, country }) => ({ key, country }));
  const named = (name: string): CompiledFlag => {
    const flag = flags.get(name);
    if (flag === undefined) throw new Error(`The ruleset has no ${name}.`);
    return flag;
  };
  return {
    version: "",
    enabled(name) {
      let count = 0;
      for (const user of users) {
        const flag = named(name);
        if (flag.variants[variantIndexOf(flag.decide(user))]?.truth === true) count++;
      }
      return count;
    },
    serves(name, variant) {
      let count = 0;
      for (const user of users) {
        const flag = named(name);
        if (flag.variants[variantIndexOf(flag.decide(user))]?.key === variant) count++;
      }
      return count;
    },
    enabledForEach(names) {
      let count = 0;
      for (const user of users) {
        for (const name of names) {
          const flag = named(name);
          if (flag.variants[variantIndexOf(flag.decide(user))]?.truth === true) count++;
        }
      }
      return count;
    },
    close() {},
  };
}
