import { describe, expect, it } from "vitest";
import { parseCondition } from "./arguments.ts";
import { type ConfigurationEdit, configurationPatch } from "./configuration-edit.ts";
import { sampleConfiguration, sampleFlag } from "./test-world.ts";

const flag = sampleFlag();
const multivariate = sampleFlag({
  key: "checkout",
  type: "string",
  variants: { v1: { value: "a" }, v2: { value: "b" }, v3: { value: "c" } },
});
const eu = { id: "eu", when: [{ attribute: "country", op: "in", values: ["FR"] }], serve: { variant: "on" } };
const staff = { id: "staff", when: [{ segment: "staff" }], serve: { variant: "on" } };
const withRules = sampleConfiguration({ rules: [eu, staff], pins: { on: ["qa-1", "qa-2"], off: ["ceo"] } });

function patched(edit: ConfigurationEdit, current = sampleConfiguration(), of = flag): unknown {
  const result = configurationPatch(edit, of, current);
  return result.ok ? result.patch : `refused: ${result.detail}`;
}

describe("what everyone gets", () => {
  it.each([
    [25, { on: 25, off: 75 }],
    [0, { on: 0, off: 100 }],
    [100, { on: 100, off: 0 }],
    [33.3, { on: 33.3, off: 66.7 }],
    [0.001, { on: 0.001, off: 99.999 }],
    [99.999, { on: 99.999, off: 0.001 }],
  ])("--on %s leaves the exact rest to off", (on, split) => {
    expect(patched({ on })).toEqual({ fallthrough: { split } });
  });

  it("--variant serves one variant", () =>
    expect(patched({ variant: "on" })).toEqual({ fallthrough: { variant: "on" } }));

  it("a new split takes variants out that it does not name, which a merge patch would keep", () => {
    const current = sampleConfiguration({ offVariant: "v3", fallthrough: { split: { v1: 50, v2: 50 } } });
    expect(patched({ split: { v2: 10, v3: 90 } }, current, multivariate)).toEqual({
      fallthrough: { split: { v2: 10, v3: 90, v1: null } },
    });
  });

  it("--on is refused where there is no on and off, naming what there is", () => {
    expect(patched({ on: 5 }, sampleConfiguration(), multivariate)).toMatch(/refused: .*v1, v2, v3/);
  });

  it.each([[{ on: 5, variant: "on" }], [{ on: 5, split: { on: 100 } }], [{ enable: true, disable: true }], [{}]])(
    "%j contradicts itself, or says nothing",
    (edit) => expect(patched(edit)).toMatch(/^refused/),
  );
});

describe("rules", () => {
  it("a change to one leaves the others and the fallthrough as they are", () => {
    expect(patched({ rule: "eu", on: 50 }, withRules)).toEqual({
      rules: [{ ...eu, serve: { split: { on: 50, off: 50 } } }, staff],
    });
  });

  it("new conditions keep what the rule serves", () => {
    const when = [parseCondition("country in FR,DE")];
    expect(patched({ rule: "eu", when }, withRules)).toEqual({ rules: [{ ...eu, when }, staff] });
  });

  it("a new one comes last, and needs both halves", () => {
    const when = [parseCondition("plan equals pro")];
    expect(patched({ rule: "pro", when, variant: "on" }, withRules)).toEqual({
      rules: [eu, staff, { id: "pro", when, serve: { variant: "on" } }],
    });
    expect(patched({ rule: "pro", on: 50 }, withRules)).toMatch(/refused: .*no rule pro.*eu, staff/);
    expect(patched({ rule: "pro", when }, withRules)).toMatch(/^refused/);
  });

  it("are removed by name", () => {
    expect(patched({ removeRule: ["eu"] }, withRules)).toEqual({ rules: [staff] });
    expect(patched({ removeRule: ["eu"], rule: "staff", on: 1 }, withRules)).toEqual({
      rules: [{ ...staff, serve: { split: { on: 1, off: 99 } } }],
    });
    expect(patched({ removeRule: ["us"] }, withRules)).toMatch(/refused: There is no rule us/);
    expect(patched({ removeRule: ["eu"], rule: "eu", on: 1 }, withRules)).toMatch(/^refused/);
  });

  it("--when without --rule, and --rule without a change, are refused", () => {
    expect(patched({ when: [parseCondition("a exists")], on: 5 }, withRules)).toMatch(/^refused/);
    expect(patched({ rule: "eu" }, withRules)).toMatch(/^refused/);
  });
});

describe("pins", () => {
  const pin = (name: string, value: string) => [{ name, value }];

  it("are added to their variant, whose list is sent whole", () => {
    expect(patched({ pin: pin("on", "qa-3") }, withRules)).toEqual({ pins: { on: ["qa-1", "qa-2", "qa-3"] } });
  });

  it("move from one variant to another, because a key has one pin", () => {
    expect(patched({ pin: pin("on", "ceo") }, withRules)).toEqual({ pins: { on: ["qa-1", "qa-2", "ceo"], off: null } });
  });

  it("are undone wherever they are", () => {
    expect(patched({ unpin: ["qa-1", "ceo"] }, withRules)).toEqual({ pins: { on: ["qa-2"], off: null } });
  });
});

it("the simple fields pass as they are, several at a time", () => {
  expect(patched({ enable: true, offVariant: "off", bucketBy: ["account", "key"], on: 1 })).toEqual({
    enabled: true,
    offVariant: "off",
    bucketBy: ["account", "key"],
    fallthrough: { split: { on: 1, off: 99 } },
  });
  expect(patched({ disable: true })).toEqual({ enabled: false });
});
