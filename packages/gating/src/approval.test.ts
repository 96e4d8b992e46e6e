import type { Approval, Signature } from "@bunting/contracts";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ApprovalStatus, approvalStatus, maySign } from "./approval.ts";

const sign = (by: string, roles: string[] = [], decision: Signature["decision"] = "approve", stage = 0): Signature => ({
  stage,
  by,
  token: `t-${by}`,
  roles,
  decision,
  comment: decision === "reject" ? "p99 looks odd" : "GO",
  at: "2025-08-19T13:00:00.000Z",
});
const status = (approval: Approval | undefined, ...signatures: Signature[]): ApprovalStatus =>
  approvalStatus(approval, 0, signatures, "ana");
const gateReview: Approval = { roles: ["tech-lead", "sre"], signatures: 1, byOthers: true };

describe("GA-130 an approval is given by enough signatures of the roles it names", () => {
  it("is not needed where the stage asks for none", () => {
    expect(status(undefined)).toEqual({ name: "not_needed" });
  });

  it("true is one signature of anyone", () => {
    expect(status(true)).toEqual({ name: "missing", waitsFor: ["1 more of anyone who may approve"] });
    expect(status(true, sign("ana"))).toEqual({ name: "given", by: ["ana"] });
  });

  it("takes one signature of each role", () => {
    expect(status(gateReview, sign("bo", ["sre"]))).toEqual({
      name: "missing",
      waitsFor: ["a signature of tech-lead"],
    });
    expect(status(gateReview, sign("bo", ["sre"]), sign("cy", ["tech-lead"])).name).toBe("given");
  });

  it("does not count one person for two roles, in whatever order people signed", () => {
    const both = sign("bo", ["sre", "tech-lead"]);
    expect(status(gateReview, both)).toEqual({ name: "missing", waitsFor: ["a signature of tech-lead or sre"] });
    expect(status(gateReview, both, sign("cy", ["tech-lead"])).name).toBe("given");
    expect(status(gateReview, both, sign("cy", ["sre"])).name).toBe("given");
    expect(status(gateReview, sign("cy", ["sre"]), both).name).toBe("given");
  });

  it("names every role that would help, and none that would not", () => {
    const three: Approval = { roles: ["a", "b", "c"], signatures: 3, byOthers: false };
    const waitsFor = (...signatures: Signature[]) => {
      const found = status(three, ...signatures);
      return found.name === "missing" ? found.waitsFor : found.name;
    };
    expect(waitsFor(sign("bo", ["a", "b"]))).toEqual(["2 signatures of a or b or c"]);
    expect(waitsFor(sign("bo", ["a", "b"]), sign("cy", ["c"]))).toEqual(["a signature of a or b"]);
    expect(waitsFor(sign("bo", ["a"]), sign("cy", ["c"]))).toEqual(["a signature of b"]);
    expect(waitsFor()).toEqual(["a signature of a", "a signature of b", "a signature of c"]);
  });

  it("counts people, not signatures", () => {
    const two: Approval = { signatures: 2, byOthers: false };
    expect(status(two, sign("bo"), sign("bo")).name).toBe("missing");
    expect(status(two, sign("bo"), sign("cy")).name).toBe("given");
  });

  it("does not count a signature of another stage", () => {
    expect(status(true, sign("bo", [], "approve", 1)).name).toBe("missing");
  });
});

describe("GA-131 with byOthers whoever started the rollout is not enough alone", () => {
  const approval: Approval = { signatures: 1, byOthers: true };

  it("waits for somebody else", () => {
    expect(status(approval, sign("ana"))).toEqual({
      name: "missing",
      waitsFor: ["one of somebody other than ana, who started it"],
    });
    expect(status(approval, sign("ana"), sign("bo")).name).toBe("given");
    expect(status(approval, sign("bo")).name).toBe("given");
  });
});

describe("GA-132 a rejection blocks until its author signs otherwise", () => {
  it("however many agree", () => {
    expect(status(true, sign("bo"), sign("cy", [], "reject"), sign("di"))).toEqual({
      name: "rejected",
      by: "cy",
      comment: "p99 looks odd",
    });
  });

  it("and the last word of a person counts", () => {
    expect(status(true, sign("cy", [], "reject"), sign("cy")).name).toBe("given");
    expect(status(true, sign("cy"), sign("cy", [], "reject")).name).toBe("rejected");
  });
});

describe("GA-133 who may sign", () => {
  it("is anyone where no role is named, and a holder of one of the roles where some are", () => {
    expect(maySign(true, { name: "bo", roles: [] })).toBe(true);
    expect(maySign({ signatures: 2, byOthers: false }, { name: "bo", roles: [] })).toBe(true);
    expect(maySign(gateReview, { name: "bo", roles: ["sre"] })).toBe(true);
    expect(maySign(gateReview, { name: "bo", roles: ["qa"] })).toBe(false);
  });
});

describe("GA-130 and GA-132, as properties", () => {
  const people = fc.constantFrom("ana", "bo", "cy", "di");
  const roles = fc.subarray(["sre", "tech-lead", "qa"]);
  const signature = fc
    .tuple(people, roles, fc.constantFrom<Signature["decision"]>("approve", "reject"))
    .map(([by, held, decision]) => sign(by, held, decision));
  const approval: fc.Arbitrary<Approval> = fc.record({
    roles: fc.subarray(["sre", "tech-lead", "qa"], { minLength: 1 }),
    signatures: fc.integer({ min: 1, max: 3 }),
    byOthers: fc.boolean(),
  });

  it("is never given with a standing rejection, with too few people, or by the starter alone", () => {
    fc.assert(
      fc.property(approval, fc.array(signature, { maxLength: 6 }), (terms, signatures) => {
        const result = status(terms, ...signatures);
        if (result.name !== "given" || terms === true) return;
        const last = new Map(signatures.map((each) => [each.by, each.decision]));
        expect([...last.values()]).not.toContain("reject");
        expect(last.size).toBeGreaterThanOrEqual(Math.max(terms.signatures, terms.roles?.length ?? 0));
        if (terms.byOthers) expect([...last.keys()]).not.toEqual(["ana"]);
      }),
    );
  });

  it("does not depend on the order of people", () => {
    fc.assert(
      fc.property(
        approval,
        fc.uniqueArray(signature, { selector: ({ by }) => by, maxLength: 4 }),
        (terms, signatures) => {
          expect(status(terms, ...[...signatures].reverse()).name).toBe(status(terms, ...signatures).name);
        },
      ),
    );
  });
});
