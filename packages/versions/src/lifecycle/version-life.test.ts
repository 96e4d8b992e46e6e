import { describe, expect, it } from "vitest";
import type { Failure } from "../errors.ts";
import { nextLife, type VersionEvent, type VersionLife, type VersionLifeName } from "./version-life.ts";

const failure: Failure = { code: "exited", message: "gone" };

const LIVES: { readonly [Name in VersionLifeName]: VersionLife } = {
  absent: { name: "absent" },
  loading: { name: "loading" },
  ready: { name: "ready" },
  retiring: { name: "retiring" },
  condemned: { name: "condemned", failure },
  failed: { name: "failed", failure },
};
const EVENTS: { readonly [Type in VersionEvent["type"]]: VersionEvent } = {
  load: { type: "load" },
  loaded: { type: "loaded" },
  broke: { type: "broke", failure },
  condemn: { type: "condemn", failure },
  retire: { type: "retire" },
  emptied: { type: "emptied" },
};

/** The whole table: `→ next: effects`; what is not named changes nothing. */
const CHANGES: { readonly [Cell in `${VersionLifeName} ${VersionEvent["type"]}`]?: string } = {
  "absent load": "loading: start_thread",
  "loading loaded": "ready: ",
  "loading broke": "failed: end_thread",
  "loading retire": "absent: end_thread",
  "ready broke": "failed: end_thread,rescue",
  "ready condemn": "condemned: evacuate",
  "ready retire": "retiring: evacuate",
  "retiring load": "ready: ",
  "retiring broke": "failed: end_thread,rescue",
  "retiring condemn": "condemned: ",
  "retiring emptied": "absent: end_thread",
  "condemned load": "ready: ",
  "condemned broke": "failed: end_thread,rescue",
  "condemned emptied": "failed: end_thread",
  "failed load": "loading: start_thread",
  "failed retire": "absent: ",
};

describe("the life of a version", () => {
  const cells = Object.keys(LIVES).flatMap((name) =>
    Object.keys(EVENTS).map((type) => [name, type] as [VersionLifeName, VersionEvent["type"]]),
  );
  it.each(cells)("%s, %s", (name, type) => {
    const { life, effects } = nextLife(LIVES[name], EVENTS[type]);
    expect(`${life.name}: ${effects.join(",")}`).toBe(CHANGES[`${name} ${type}`] ?? `${name}: `);
  });

  it("never leaves a thread running behind a life that has none", () => {
    const withThread = new Set<VersionLifeName>(["loading", "ready", "retiring", "condemned"]);
    for (const [name, type] of cells) {
      const { life, effects } = nextLife(LIVES[name], EVENTS[type]);
      expect(effects.includes("end_thread"), `${name}, ${type}`).toBe(
        withThread.has(name) && !withThread.has(life.name),
      );
      expect(effects.includes("start_thread"), `${name}, ${type}`).toBe(
        !withThread.has(name) && withThread.has(life.name),
      );
    }
  });
});
