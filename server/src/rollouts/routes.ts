import { ReadableStream } from "node:stream/web";
import {
  checklistRequest,
  createRolloutRequest,
  type DecisionDocument,
  type DecisionRecord,
  decisionDocument,
  decisionDocumentQuery,
  decisionPage,
  decisionQuery,
  type EnvironmentKey,
  type ErrorCode,
  type EvidenceCell,
  pageQuery,
  type RolloutChange,
  type RolloutCommand,
  reportQuery,
  rolloutChange,
  rolloutCommandRequest,
  rolloutPage,
  rolloutQuery,
  rolloutReport,
  rolloutView,
  waitQuery,
} from "@bunting/contracts";
import { ROLLOUT_COMMANDS } from "@bunting/contracts/literals";
import type { CommandInputs, KeptInputs } from "@bunting/gating";
import { z } from "zod";
import { armsOf, type EvidenceRow, type EvidenceSource } from "../evidence/evidence.ts";
import { inPages } from "../evidence/in-pages.ts";
import { badCursor, decodeCursor, encodeCursor, pageByKey } from "../http/cursor.ts";
import { pageOf } from "../http/examples.ts";
import { answer, type Carried, carryOut, positionHeader, positionOf } from "../http/mutation.ts";
import { ofFlagInEnvironment } from "../http/parameters.ts";
import { etag, expectedVersion } from "../http/precondition.ts";
import { type Reply, type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import type { Accepted, Actor } from "../ledger/command.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { State, StoredRollout } from "../ledger/state.ts";
import { toInstant } from "../platform/instant.ts";
import type { Clock, Scheduler } from "../ports.ts";
import type { Delivery } from "../receipts/delivery.ts";
import { receiptOfChange, type Wait } from "../receipts/receipt-of-change.ts";
import { DECISION, DECISION_DOCUMENT, ROLLOUT, ROLLOUT_CHANGE, ROLLOUT_REPORT } from "./examples.ts";
import { reportOf, withoutInputs } from "./report.ts";
import { reportMarkdown } from "./report-markdown.ts";
import { rolloutsOf, viewOf } from "./rollout.ts";

const tag = "rollouts";

export interface RolloutSlice {
  readonly ledger: Pick<Ledger, "state" | "execute" | "decisions">;
  readonly delivery: Pick<Delivery, "receipt" | "waitForReceipt">;
  readonly evidence: Pick<EvidenceSource, "count" | "page">;
  readonly clock: Clock;
  readonly scheduler: Pick<Scheduler, "soon">;
}

const ofRollout = z.object({ rollout: z.string().min(1).max(64) });
const ofDecision = ofRollout.extend({ decision: z.string().min(1).max(80) });

/** What closes a decision's document after the cells. */
const END = "]}}";

/** Decisions in one report. */
const MOST_DECISIONS = 1_000;

const shown = { status: 200, description: "The rollout.", schema: rolloutView, example: ROLLOUT } as const;

const SUMMARIES: Readonly<Record<RolloutCommand, { readonly summary: string; readonly description: string }>> = {
  start: {
    summary: "Start a rollout",
    description: "Gives the canary its first share, inside a release window and with the checklist ticked.",
  },
  pause: {
    summary: "Pause a rollout",
    description: "It is not promoted any more. The safety monitor goes on, and rolls back all the same.",
  },
  resume: { summary: "Resume a paused rollout", description: "Its next look follows at once." },
  promote: {
    summary: "Give the canary its next share",
    description: "Without a pass of the current stage it takes a comment, and is recorded as forced.",
  },
  rollback: {
    summary: "Roll back",
    description:
      "What the scope served before comes back in one change, to the same users, past windows and approvals. Only `retry` " +
      "leads on. With `waitMs` the answer waits until every connected instance has applied it.",
  },
  abort: {
    summary: "End the attempt",
    description: "As a rollback, without saying that the canary was at fault.",
  },
  approve: { summary: "Sign: GO", description: "For the current stage, in the roles of the token." },
  reject: { summary: "Sign: NO-GO", description: "With a comment. It blocks until the signer approves." },
  retry: {
    summary: "Begin a new attempt",
    description: "From the first stage, with fresh statistics and no signatures.",
  },
};

/** What each command can be refused with, beside that it does not fit the state. */
const REFUSALS: Readonly<Record<RolloutCommand, readonly ErrorCode[]>> = {
  start: [...beginning(), "checklist_incomplete"],
  retry: [...beginning()],
  promote: [
    "rollout_at_last_stage",
    "rollout_flag_killed",
    "rollout_flag_changed",
    "outside_release_window",
    "approval_missing",
    "comment_required",
  ],
  resume: ["rollout_flag_killed", "rollout_flag_changed"],
  approve: ["approval_not_asked", "approval_role_missing"],
  reject: ["approval_not_asked", "approval_role_missing", "comment_required"],
  pause: [],
  rollback: [],
  abort: [],
};

function beginning(): readonly ErrorCode[] {
  return [
    "rollout_exists",
    "rollout_flag_killed",
    "rollout_canary_has_share",
    "rollout_control_has_no_share",
    "rollout_scope_unknown",
    "variant_unknown",
    "outside_release_window",
  ];
}

/** Rollouts: plans, what people do to them, and what has become of them. */
export function rolloutRoutes(router: Router, { ledger, delivery, evidence, clock, scheduler }: RolloutSlice): void {
  router.addInEnvironment(
    {
      method: "post",
      path: "/api/v1/environments/{environment}/flags/{flag}/rollouts",
      operationId: "createRollout",
      tag,
      summary: "Write a plan for a flag",
      description: "It is `pending` until somebody starts it, and changes nothing before.",
      access: "create_rollout",
      params: ofFlagInEnvironment,
      body: { schema: createRolloutRequest },
      repeatable: true,
      success: {
        status: 201,
        description: "The rollout.",
        schema: rolloutView,
        example: ROLLOUT,
        headers: ["ETag", "Location"],
      },
      errors: [
        "flag_not_found",
        "flag_archived",
        "environment_archived",
        "rollout_exists",
        "rollout_plan_invalid",
        "rollout_scope_unknown",
        "variant_unknown",
        "webhook_unknown",
        "limit_exceeded",
        ...STORAGE_ERRORS,
      ],
    },
    (request) => {
      const command = { type: "create_rollout", ...request.params, plan: request.body } as const;
      return answer(
        carryOut(ledger, request, command, ({ audit, state }) => {
          const stored = requireRollout(state, audit[0]?.object.key);
          const { id, version } = stored.rollout;
          const headers = { Location: `/api/v1/rollouts/${id}`, ETag: etag(version) };
          return { status: 201, body: viewOf(stored), headers };
        }),
      );
    },
  );

  router.addInEnvironment(
    {
      method: "get",
      path: "/api/v1/environments/{environment}/flags/{flag}/rollouts",
      operationId: "listRolloutsOfFlag",
      tag,
      summary: "List the rollouts of a flag",
      description: "By id.",
      access: "read",
      params: ofFlagInEnvironment,
      query: pageQuery,
      success: { status: 200, description: "One page.", schema: rolloutPage, example: pageOf(ROLLOUT) },
      errors: ["flag_not_found"],
    },
    ({ environment, params, query }) => {
      const { state } = ledger;
      if (!state.flags.has(params.flag)) return refused("flag_not_found", `There is no flag ${params.flag}.`);
      return page(rolloutsOf(state.rollouts, environment.key, params.flag), query);
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts",
      operationId: "listRollouts",
      tag,
      summary: "List rollouts",
      description: "By id; of all environments that the token covers.",
      access: "read",
      query: rolloutQuery,
      success: { status: 200, description: "One page.", schema: rolloutPage, example: pageOf(ROLLOUT) },
    },
    ({ actor, query }) => {
      const wanted = [...ledger.state.rollouts.values()].filter(
        ({ rollout }) =>
          covers(actor, rollout.environment) &&
          (query.state === undefined || query.state === rollout.state) &&
          (query.environment === undefined || query.environment === rollout.environment),
      );
      return page(wanted, query);
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts/{rollout}",
      operationId: "getRollout",
      tag,
      summary: "Read a rollout",
      description: "Where it stands, what the latest look said, what comes next and what that waits for.",
      access: "read",
      params: ofRollout,
      success: { ...shown, headers: ["ETag"] },
      errors: ["rollout_not_found"],
    },
    ({ actor, params }) => {
      const stored = find(actor, params.rollout);
      if (!stored) return notFound(params.rollout);
      return { status: 200, body: viewOf(stored), headers: { ETag: etag(stored.rollout.version) } };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts/{rollout}/decisions",
      operationId: "listDecisions",
      tag,
      summary: "List what was decided, and why",
      description:
        "Newest first. `only=changes` leaves out looks that changed nothing and said nothing new. `expand=inputs` adds what each " +
        "was made of, but for settled evidence.",
      access: "read",
      params: ofRollout,
      query: decisionQuery,
      success: { status: 200, description: "One page.", schema: decisionPage, example: pageOf(DECISION) },
      errors: ["rollout_not_found"],
    },
    ({ actor, params, query }) => {
      const stored = find(actor, params.rollout);
      if (!stored) return notFound(params.rollout);
      const before = query.cursor === undefined ? null : Number(decodeCursor(query.cursor));
      if (before !== null && !Number.isSafeInteger(before)) return { refusal: badCursor() };
      const records = ledger.decisions({
        rollout: stored.rollout.id,
        before,
        limit: query.limit + 1,
        attempt: query.attempt,
        onlyChanges: query.only === "changes",
      });
      const shown = records.slice(0, query.limit);
      const items = query.expand === "inputs" ? shown : shown.map(withoutInputs);
      const last = items.at(-1);
      const nextCursor = records.length > items.length && last ? encodeCursor(`${numberOf(last.id)}`) : null;
      return { status: 200, body: { items, nextCursor } };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts/{rollout}/decisions/{decision}",
      operationId: "getDecision",
      tag,
      summary: "Read a decision with everything it was made of",
      description:
        "Deciding again from `inputs` gives the same decision: `bunting replay` does that. 30 days after the attempt ended its " +
        "evidence is deleted; then `evidence` is `gone`, and `inputs` are what is left. The evidence of a day is some 75 MB, " +
        "sent as it is read: with `evidence=named` it is left out, and `GET …/evidence` lists it in pages.",
      access: "read",
      params: ofDecision,
      query: decisionDocumentQuery,
      success: { status: 200, description: "The record.", schema: decisionDocument, example: DECISION_DOCUMENT },
      errors: ["rollout_not_found", "decision_not_found"],
    },
    ({ actor, params, query }) => {
      const stored = find(actor, params.rollout);
      if (!stored) return notFound(params.rollout);
      const record = findDecision(stored, params.decision);
      if (!record) return refused("decision_not_found", `${params.rollout} has no decision ${params.decision}.`);
      return { status: 200, body: documentOf(record, query.evidence) };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/rollouts/{rollout}/report",
      operationId: "getRolloutReport",
      tag,
      summary: "Read the deployment report",
      description: "As JSON, or as Markdown with `format=md` or `Accept: text/markdown`.",
      access: "read",
      params: ofRollout,
      query: reportQuery,
      success: {
        status: 200,
        description: "Figures, incidents, decisions, and who agreed.",
        schema: rolloutReport,
        example: ROLLOUT_REPORT,
        mediaType: "text/markdown",
      },
      errors: ["rollout_not_found"],
    },
    ({ actor, params, query, accept }) => {
      const stored = find(actor, params.rollout);
      if (!stored) return notFound(params.rollout);
      const { id, environment } = stored.rollout;
      const filter = { rollout: id, before: null, limit: MOST_DECISIONS + 1, onlyChanges: true };
      const records = ledger.decisions(filter);
      const told = records.slice(0, MOST_DECISIONS);
      const oldest = told.at(-1);
      const report = reportOf({
        rollout: viewOf(stored),
        records: told.toReversed(),
        omittedDecisionCount: records.length > told.length && oldest ? numberOf(oldest.id) - 1 : 0,
        receipt: (revision) => delivery.receipt(environment, revision),
        now: toInstant(clock.now()),
      });
      const asMarkdown = query.format === "md" || (query.format === undefined && accept.includes("text/markdown"));
      if (!asMarkdown) return { status: 200, body: report };
      return { status: 200, body: reportMarkdown(report), headers: { "Content-Type": "text/markdown; charset=utf-8" } };
    },
  );

  const changed = {
    status: 200,
    description: "The rollout, what the log says of it, and who has applied the change of the flag.",
    schema: rolloutChange,
    example: ROLLOUT_CHANGE,
    headers: ["ETag", "Bunting-Position"],
  } as const;

  for (const command of ROLLOUT_COMMANDS) {
    router.add(
      {
        method: "post",
        path: `/api/v1/rollouts/{rollout}/${command}`,
        operationId: `${command}Rollout`,
        tag,
        ...SUMMARIES[command],
        access: "rollout_command",
        params: ofRollout,
        query: waitQuery,
        body: { schema: rolloutCommandRequest },
        repeatable: true,
        ifMatch: "optional",
        success: changed,
        errors: [
          "rollout_not_found",
          "rollout_not_live",
          "transition_not_allowed",
          ...REFUSALS[command],
          ...(command === "abort" ? [] : (["flag_archived", "environment_archived"] as const)),
          ...STORAGE_ERRORS,
        ],
      },
      async (request): Promise<Reply> => {
        const stored = find(request.actor, request.params.rollout);
        if (!stored) return notFound(request.params.rollout);
        const { id, environment } = stored.rollout;
        const ordered = {
          type: "rollout_command",
          environment,
          rollout: id,
          command,
          comment: request.body.comment,
          ifVersion: expectedVersion(request.ifMatch),
        } as const;
        const carried = carryOut(ledger, request, ordered, (accepted) => made(accepted, id));
        return withReceipt(carried, environment, { waitMs: request.query.waitMs ?? 0, signal: request.signal });
      },
    );
  }

  router.add(
    {
      method: "post",
      path: "/api/v1/rollouts/{rollout}/checklist",
      operationId: "tickChecklist",
      tag,
      summary: "Tick an item of the checklist",
      description: "By its words. All are ticked before the start.",
      access: "tick_checklist",
      params: ofRollout,
      body: { schema: checklistRequest },
      repeatable: true,
      ifMatch: "optional",
      success: { ...shown, headers: ["ETag"] },
      errors: [
        "rollout_not_found",
        "transition_not_allowed",
        "flag_archived",
        "environment_archived",
        ...STORAGE_ERRORS,
      ],
    },
    (request) => {
      const stored = find(request.actor, request.params.rollout);
      if (!stored) return notFound(request.params.rollout);
      const { id, environment } = stored.rollout;
      const ifVersion = expectedVersion(request.ifMatch);
      const command = { type: "tick_checklist", environment, rollout: id, ...request.body, ifVersion } as const;
      return answer(
        carryOut(ledger, request, command, ({ state }) => {
          const after = requireRollout(state, id);
          return { status: 200, body: viewOf(after), headers: { ETag: etag(after.rollout.version) } };
        }),
      );
    },
  );

  /** A rollout in an environment that the token does not cover is not there. */
  function find(actor: Actor, id: string): StoredRollout | undefined {
    const stored = ledger.state.rollouts.get(id);
    return stored && covers(actor, stored.rollout.environment) ? stored : undefined;
  }

  function findDecision({ rollout }: StoredRollout, id: string): DecisionRecord | undefined {
    const number = numberOf(id);
    if (!Number.isSafeInteger(number)) return undefined;
    const [record] = ledger.decisions({ rollout: rollout.id, before: number + 1, limit: 1, onlyChanges: false });
    return record?.id === id ? record : undefined;
  }

  /** With what it was decided from. Where the evidence is gone, or cannot be read, only what was stored with the decision. */
  function documentOf(
    record: DecisionRecord,
    wanted: "whole" | "named",
  ): DecisionDocument | ReadableStream<Uint8Array> {
    const kept = record.inputs as unknown as KeptInputs | CommandInputs;
    if (kept.kind === "command") return { ...record, evidence: "whole" };
    if (kept.settledCount !== null) {
      const count = evidence.count(armsOf(kept.rollout), kept.through);
      if (count === null) return { ...record, evidence: "unreadable" };
      if (count !== kept.settledCount) return { ...record, evidence: "gone" };
    }
    return wanted === "named" ? { ...record, evidence: "named" } : ReadableStream.from(wholeDocument(record, kept));
  }

  /**
   * Piece by piece, because the evidence of a day is 75 MB, and of weeks more than a process can hold; and in turns, because
   * somebody may flip a kill switch meanwhile. What cannot be read to its end is cut off, so that it is no JSON.
   */
  async function* wholeDocument(decided: DecisionRecord, kept: KeptInputs): AsyncGenerator<Uint8Array> {
    const { through: _through, settledCount, fresh, ...inputs } = kept;
    // Written with no cells, which come last, so that they are put in before what closes it.
    const frame = JSON.stringify({ ...withoutInputs(decided), evidence: "whole", inputs: { ...inputs, cells: [] } });
    yield Buffer.from(frame.slice(0, -END.length));
    let count = 0;
    for await (const rows of rowsOf(kept)) {
      if (rows === null) throw new Error("The evidence of a decision cannot be read any more.");
      yield Buffer.from(rows.map((row) => `${count++ === 0 ? "" : ","}${JSON.stringify(row)}`).join(""));
    }
    if (count !== (settledCount ?? 0) + fresh.length)
      throw new Error("The evidence of a decision went while it was read.");
    yield Buffer.from(END);
  }

  async function* rowsOf(kept: KeptInputs): AsyncGenerator<readonly EvidenceCell[] | null> {
    const { rollout, through, settledCount, fresh } = kept;
    const read = (after: EvidenceRow | null, limit: number) =>
      evidence.page(armsOf(rollout), { after, through, limit });
    if (settledCount !== null) yield* inPages(read, scheduler);
    yield fresh;
  }

  function made(accepted: Accepted, id: string) {
    const stored = requireRollout(accepted.state, id);
    const { environment, version } = stored.rollout;
    const body: Omit<RolloutChange, "receipt"> = {
      rollout: viewOf(stored),
      decision: stored.latestDecision,
      position: positionOf(accepted.state, environment),
    };
    return { status: 200, body, headers: { ETag: etag(version), ...positionHeader(accepted, environment) } };
  }

  async function withReceipt(carried: Carried, environment: EnvironmentKey, wait: Wait): Promise<Reply> {
    if (!carried.ok) return carried.refused;
    const change = carried.made.body as Omit<RolloutChange, "receipt">;
    const revision = change.decision?.revision ?? null;
    if (revision === null) return { ...carried.made, body: { ...change, receipt: null } };
    const { epoch } = change.position;
    const receipt = await receiptOfChange({ environment, epoch, revision }, wait, { ledger, delivery });
    return { ...carried.made, body: { ...change, receipt } };
  }
}

function page(rollouts: Iterable<StoredRollout>, query: z.output<typeof pageQuery>): Reply {
  const paged = pageByKey(rollouts, ({ rollout }) => rollout.id, query);
  if (!paged.ok) return { refusal: paged.refusal };
  return { status: 200, body: { ...paged.page, items: paged.page.items.map(viewOf) } };
}

function covers({ environments }: Actor, environment: EnvironmentKey): boolean {
  return environments?.includes(environment) ?? true;
}

function requireRollout(state: State, id: string | undefined): StoredRollout {
  const stored = id === undefined ? undefined : state.rollouts.get(id);
  if (!stored) throw new Error("The ledger accepted a command of a rollout that is not in its state.");
  return stored;
}

/** Of a decision's id, as in `ro-3f9c21ab77d0.17`. */
function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf(".") + 1));
}

function notFound(id: string): Reply {
  return refused("rollout_not_found", `There is no rollout ${id}.`);
}
