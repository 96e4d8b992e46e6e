import { describe, expect, it } from "vitest";
import * as v2 from "../fixtures/counting-v2.ts";
import { checksumOf } from "./checksum.ts";
import type { Request } from "./protocol.ts";
import { Servant } from "./servant.ts";

const STATE = { count: 1, sum: 5, trail: ["v2"] };
const DAMAGED = { ...STATE, sum: 6 };

async function loaded(exports: object = v2): Promise<Servant> {
  const servant = new Servant({ load: () => Promise.resolve(exports), monotonic: () => 0, heapBytes: () => 0 });
  await servant.answer({ type: "load", version: "v2", url: "v2", config: null });
  return servant;
}

const adopt = (state: unknown, sums: readonly number[]): Request => ({
  type: "adopt",
  from: "v2",
  states: [{ entity: "a", state }],
  sums,
});

describe("the checksum of a state on its way", () => {
  it("is what it was read with: the entity is taken, and the state read back", async () => {
    const servant = await loaded();
    const reply = await servant.answer(adopt(STATE, [checksumOf(STATE)]));
    expect(reply).toMatchObject({ ok: true, answer: [{ entity: "a", kind: "adopted", state: STATE }] });
    expect(await servant.answer({ type: "drain", entities: ["a"] })).toMatchObject({
      answer: { states: [{ entity: "a", state: STATE }], sums: [checksumOf(STATE)] },
    });
  });

  it("is another: the entity is refused, and nothing of it stays", async () => {
    const servant = await loaded();
    const reply = await servant.answer(adopt(DAMAGED, [checksumOf(STATE)]));
    expect(reply).toMatchObject({ answer: [{ kind: "refused", message: expect.stringContaining("damaged") }] });
    expect(servant.roster.size).toBe(0);
  });

  it("is not that of what the version made of it: the entity is refused, and nothing of it stays", async () => {
    const module = v2.createModule();
    const forgetful = { ...module, getState: (entity: string) => ({ ...module.getState(entity), sum: 0 }) };
    const servant = await loaded({ createModule: () => forgetful });
    const reply = await servant.answer(adopt(STATE, [checksumOf(STATE)]));
    expect(reply).toMatchObject({ answer: [{ kind: "refused", message: expect.stringContaining("not what was") }] });
    expect(servant.roster.size).toBe(0);
  });
});

it("answers what cannot be done instead of breaking off", async () => {
  const servant = new Servant({ load: () => Promise.reject(new Error("no")), monotonic: () => 0, heapBytes: () => 0 });
  const early = await servant.answer({ type: "drain", entities: ["a"] });
  expect(early).toMatchObject({ ok: false });
  expect(await servant.answer({ type: "load", version: "v2", url: "v2", config: null })).toMatchObject({
    ok: false,
    failure: { code: "load_failed" },
  });
});
