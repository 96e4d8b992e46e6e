import { booleanFlag, createOrigin, createSdkWorld, type SdkWorld, withChecksum } from "@bunting/testkit";
import { describe, expect, it } from "vitest";
import { createFlagsOn } from "./create-flags.ts";
import type { FlagsOptions } from "./options.ts";
import { overrideVariable } from "./overrides.ts";
import type { Flags } from "./types.ts";

const text = withChecksum({
  ...booleanFlag("checkout"),
  type: "string",
  variants: { v1: { value: "one" }, v2: { value: "two" }, on: { value: "three" } },
  offVariant: "v1",
  fallthrough: { variant: "v2" },
});

function start(
  options: FlagsOptions,
  environment: Record<string, string> = {},
  file?: string,
): { flags: Flags; world: SdkWorld } {
  const world = createSdkWorld(1, createOrigin([booleanFlag("redis-readthrough"), booleanFlag("other"), text]));
  Object.assign(world.environment, environment);
  if (file !== undefined) world.files.contents.set("/o.json", file);
  const flags = createFlagsOn(world.platform, { bootstrap: world.origin.ruleset, ...options });
  return { flags, world };
}

describe("LC-54 names of variables", () => {
  it.each([
    ["redis-readthrough", "BUNTING_FLAG_REDIS_READTHROUGH"],
    ["a.b_c-9", "BUNTING_FLAG_A_B_C_9"],
    ["Mixed", "BUNTING_FLAG_MIXED"],
  ])("%s is overridden by %s", (flag, variable) => expect(overrideVariable(flag)).toBe(variable));
});

describe("LC-53 overrides", () => {
  it.each(["true", "1", "on", "TRUE", "On", " true "])("%j is true", (value) => {
    const { flags } = start({}, { BUNTING_FLAG_OTHER: value });
    expect(flags.evaluate("other", "u")).toMatchObject({
      value: true,
      variant: "on",
      reason: "STATIC",
      detail: "override",
    });
  });

  it.each(["false", "0", "off", "OFF"])("%j is false", (value) => {
    const { flags } = start({}, { BUNTING_FLAG_OTHER: value });
    expect(flags.isEnabled("other", "u")).toBe(false);
    expect(flags.status().overrides).toEqual([{ flag: "other", value, from: "environment" }]);
  });

  it("name a variant of any other flag, also where it is called on", () => {
    expect(start({}, { BUNTING_FLAG_CHECKOUT: "v1" }).flags.value("checkout", "u", "")).toBe("one");
    expect(start({}, { BUNTING_FLAG_CHECKOUT: "on" }).flags.value("checkout", "u", "")).toBe("three");
  });

  it.each(["", "  "])("%j is not set", (value) => {
    const { flags } = start({}, { BUNTING_FLAG_OTHER: value });
    expect(flags.evaluate("other", "u").detail).toBe("fallthrough");
    expect(flags.status().issues).toEqual([]);
  });

  it("that name nothing are ignored, and said so", () => {
    const { flags } = start({}, { BUNTING_FLAG_OTHER: "maybe" });
    expect(flags.isEnabled("other", "u")).toBe(true);
    expect(flags.status().overrides).toEqual([]);
    expect(flags.status().issues).toEqual([expect.stringContaining('BUNTING_FLAG_OTHER is ignored: "maybe"')]);
  });

  it("take the file before overrideEnv before the variable", () => {
    const environment = {
      SESSION_ENABLED: "false",
      BUNTING_FLAG_REDIS_READTHROUGH: "true",
      BUNTING_FLAG_OTHER: "false",
    };
    const options = { overrideEnv: { "redis-readthrough": "SESSION_ENABLED" } };
    expect(start(options, environment).flags.isEnabled("redis-readthrough", "u")).toBe(false);
    const filed = start(
      { ...options, overrideFile: "/o.json" },
      environment,
      '{"redis-readthrough":true,"other":"on"}',
    ).flags;
    expect(filed.isEnabled("redis-readthrough", "u")).toBe(true);
    expect(filed.isEnabled("other", "u")).toBe(true);
    expect(filed.status().overrides.map(({ from }) => from)).toEqual(["file", "file"]);
  });

  it("give way to a kill", () => {
    const world = createSdkWorld(1, createOrigin([booleanFlag("other", { killed: true })]));
    world.environment.BUNTING_FLAG_OTHER = "on";
    const flags = createFlagsOn(world.platform, { bootstrap: world.origin.ruleset });
    expect(flags.evaluate("other", "u")).toMatchObject({ value: false, detail: "killed" });
    expect(flags.status().overrides).toEqual([]);
  });

  it("are read once: a variable that is set later does not count", () => {
    const { flags, world } = start({});
    world.environment.BUNTING_FLAG_OTHER = "off";
    expect(flags.isEnabled("other", "u")).toBe(true);
  });
});

describe("LC-60 what is overridden is no evidence", () => {
  it("is not counted", () => {
    const { flags } = start({}, { BUNTING_FLAG_OTHER: "off" });
    flags.isEnabled("other", "u");
    expect(flags.status().counters.pending).toBe(0);
    flags.isEnabled("redis-readthrough", "u");
    expect(flags.status().counters.pending).toBe(1);
  });
});

describe("LC-55 the override file", () => {
  it("is in force within a second of each change: creation, edit, removal, creation again", () => {
    const { flags, world } = start({ overrideFile: "/o.json" });
    const steps: [string | null, boolean][] = [
      ['{"other":"off"}', false],
      ['{"other":"on"}', true],
      ['{"other":false}', false],
      [null, true],
      ['{"other":"false"}', false],
      ["{}", true],
    ];
    for (const [file, expected] of steps) {
      if (file === null) world.files.contents.delete("/o.json");
      else world.files.contents.set("/o.json", file);
      world.time.advance(1_000);
      expect(flags.isEnabled("other", "u")).toBe(expected);
    }
  });

  it.each(["{", "", "[]", '{"other":1}', '{"other":null}', '"off"'])(
    "that says %j changes nothing, and is reported",
    (broken) => {
      const { flags, world } = start({ overrideFile: "/o.json" }, {}, '{"other":"off"}');
      expect(flags.isEnabled("other", "u")).toBe(false);
      world.files.contents.set("/o.json", broken);
      world.time.advance(1_000);
      expect(flags.isEnabled("other", "u")).toBe(false);
      expect(flags.status().issues).toEqual([expect.stringContaining("override file")]);
      world.files.contents.set("/o.json", "{}");
      world.time.advance(1_000);
      expect(flags.isEnabled("other", "u")).toBe(true);
      expect(flags.status().issues).toEqual([]);
    },
  );

  it("that cannot be read for a while keeps what it said", () => {
    const { flags, world } = start({ overrideFile: "/o.json" }, {}, '{"other":"off"}');
    world.time.advance(1_000);
    const read = world.files.read.bind(world.files);
    world.files.read = (_path, done) => done(null, "EIO");
    world.files.contents.set("/o.json", '{"other":"on"}');
    world.time.advance(2_000);
    expect(flags.isEnabled("other", "u")).toBe(false);
    world.files.read = read;
    world.time.advance(1_000);
    expect(flags.isEnabled("other", "u")).toBe(true);
  });

  it("tells of the flags that it changed", () => {
    const { flags, world } = start({ overrideFile: "/o.json" });
    world.time.advance(1_000);
    const keys: string[][] = [];
    flags.on("change", (change) => keys.push([...change.keys]));
    world.files.contents.set("/o.json", '{"other":"off"}');
    world.time.advance(1_000);
    expect(keys).toEqual([["other"]]);
  });

  it("may name prototype machinery without effect", () => {
    const { flags } = start({ overrideFile: "/o.json" }, {}, '{"__proto__":"off","constructor":"off"}');
    expect(flags.isEnabled("other", "u")).toBe(true);
    expect(Object.keys({})).toEqual([]);
  });
});

describe("LC-56 without any ruleset", () => {
  it("a boolean override decides its flag, whatever the code's default is", () => {
    const { flags } = start(
      { bootstrap: undefined },
      { BUNTING_FLAG_OTHER: "off", BUNTING_FLAG_REDIS_READTHROUGH: "on" },
    );
    expect(flags.status().source).toBe("defaults");
    expect(flags.value("other", "u", true)).toBe(false);
    expect(flags.isEnabled("redis-readthrough", "u")).toBe(true);
    expect(flags.variant("redis-readthrough", "u")).toBe("on");
    expect(flags.evaluate("other", "u")).toMatchObject({
      value: false,
      reason: "STATIC",
      detail: "override",
      revision: null,
    });
    expect(flags.value("checkout", "u", "v1")).toBe("v1");
  });
});
