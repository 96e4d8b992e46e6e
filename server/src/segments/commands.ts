import type { Segment, SegmentKey } from "@bunting/contracts";
import { LIMITS } from "@bunting/contracts/literals";
import { canonicalJson, validateCondition } from "@bunting/engine";
import { refuseVersion } from "../flags/commands.ts";
import { conditionInvalid } from "../flags/configuration.ts";
import { listed, usesOfSegment } from "../flags/usage.ts";
import type { Command } from "../ledger/command.ts";
import { type Decided, NOTHING, refuse, type Situation } from "../ledger/decision.ts";

type Put = Extract<Command, { type: "put_segment" }>;
type Delete = Extract<Command, { type: "delete_segment" }>;

/** Creates the segment or replaces it. Every living environment receives it, whether or not a rule refers to it yet. */
export function putSegment({ segment: key, draft, ifVersion }: Put, { state }: Situation): Decided {
  const before = state.segments.get(key) ?? null;
  if (ifVersion !== null && ifVersion !== (before?.version ?? 0)) {
    return before ? refuseVersion(before.version) : refuse("segment_not_found", `There is no segment ${key}.`);
  }
  if (!before && state.segments.size >= LIMITS.segments) {
    return refuse("limit_exceeded", `At most ${LIMITS.segments} segments.`);
  }
  if (draft.version !== undefined && draft.version !== before?.version) {
    const message = "The version is counted by the server: leave it out, or send it back as you read it.";
    return refuse("field_immutable", message, [{ path: "/version", message }]);
  }
  for (const [index, condition] of draft.when.entries()) {
    const problem = validateCondition(condition);
    if (problem !== null) return { ok: false, refusal: conditionInvalid(`/when/${index}`, problem) };
  }
  const { description, when } = draft;
  if (before && canonicalJson({ description, when }) === canonicalJson(contentOf(before))) return NOTHING;
  const after: Segment = { key, description, when, version: (before?.version ?? 0) + 1 };
  return {
    ok: true,
    edits: [{ kind: "segment", key, after }],
    audit: [{ action: "put_segment", object: segmentObject(key), before, after, reason: null }],
  };
}

export function deleteSegment({ segment: key, ifVersion }: Delete, { state }: Situation): Decided {
  const before = state.segments.get(key);
  if (!before) return refuse("segment_not_found", `There is no segment ${key}.`);
  if (ifVersion !== null && ifVersion !== before.version) return refuseVersion(before.version);
  const uses = usesOfSegment(state, key);
  if (uses.length > 0) return refuse("segment_in_use", `${key} is used by rules in ${listed(uses)}.`);
  return {
    ok: true,
    edits: [{ kind: "segment", key, after: null }],
    audit: [{ action: "delete_segment", object: segmentObject(key), before, after: null, reason: null }],
  };
}

const contentOf = ({ description, when }: Segment) => ({ description, when });

const segmentObject = (key: SegmentKey) => ({ kind: "segment", key, environment: null }) as const;
