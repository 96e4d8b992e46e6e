import { BUCKET_COUNT } from "@bunting/engine";
import type { Flags } from "@bunting/sdk";
import type { SplitSource } from "./source.ts";

/** The split of a flag whose variants are versions. Entities are its users, by their names. */
export function createFlagSplit(flags: Pick<Flags, "place" | "on">, flag: string): SplitSource {
  return {
    place: (entity) => flags.place(flag, entity),
    split() {
      const { variant, split } = flags.place(flag, NOBODY);
      if (split === null) return variant === null ? {} : { [variant]: 100 };
      const percentages: Record<string, number> = {};
      for (const [name, from, to] of split.ranges) {
        percentages[name] = (percentages[name] ?? 0) + ((to - from) * 100) / BUCKET_COUNT;
      }
      return percentages;
    },
    onChange: (listener) =>
      flags.on("change", ({ keys }) => {
        if (keys.includes(flag)) listener();
      }),
  };
}

/** Somebody whom no pin names. */
const NOBODY = "\u0000";
