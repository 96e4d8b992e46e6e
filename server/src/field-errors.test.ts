import { clientMessage, configurationDraft } from "@bunting/contracts";
import { describe, expect, it } from "vitest";
import { readDocument } from "./field-errors.ts";

const lengthOf = (document: unknown): number => JSON.stringify(document).length;
const flaws = (document: unknown): number =>
  readDocument(configurationDraft, document, lengthOf(document)).error?.issues.length ?? 0;

describe("reading a document", () => {
  it("names every flaw of a small one", () => {
    expect(flaws({ bucketBy: [1, 2, 3] })).toBeGreaterThan(3);
  });

  it("names the first flaw of a large one, and looks for no other", () => {
    const bucketBy = Array.from({ length: 200_000 }, () => 1);
    expect(flaws({ bucketBy })).toBe(1);
    expect(flaws({ enabled: true, offVariant: "off", bucketBy })).toBe(1);
    const message = { type: "telemetry", batch: { cells: bucketBy } };
    expect(readDocument(clientMessage, message, lengthOf(message)).error?.issues).toHaveLength(1);
  });

  it("gives what the schema makes of a good one, however large", () => {
    const pins = { on: Array.from({ length: 1_000 }, (_, index) => `user-with-a-long-name-${index}`) };
    const document = {
      enabled: true,
      offVariant: "off",
      bucketBy: ["key"],
      pins,
      prerequisites: [],
      rules: [],
      fallthrough: { variant: "off" },
    };
    expect(readDocument(configurationDraft, document, lengthOf(document))).toEqual({ success: true, data: document });
  });
});
