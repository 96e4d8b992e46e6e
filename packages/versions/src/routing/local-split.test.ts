import { createFlags } from "@bunting/sdk";
import { booleanFlag, createOrigin } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createLocalSplit } from "./local-split.ts";

describe("a split without a flag", () => {
  it("puts everybody where a flag of salt 0 puts them", () => {
    const local = createLocalSplit(() => ["on", "off"], { on: 30, off: 70 });
    const { ruleset } = createOrigin([booleanFlag("logic", { percent: 30, salt: 0 })]);
    const flags = createFlags({ bootstrap: ruleset, cacheFile: false });
    const entities = Array.from({ length: 200 }, (_, index) => `player-${index}`);
    const placesOf = (place: (entity: string) => ReturnType<typeof local.place>) =>
      entities.map((entity) => [place(entity).variant, place(entity).split?.position]);
    expect(placesOf((entity) => local.place(entity))).toEqual(placesOf((entity) => flags.place("logic", entity)));
    expect(new Set(entities.map((entity) => local.place(entity).variant))).toEqual(new Set(["on", "off"]));
  });
});
