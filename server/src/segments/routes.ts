import { pageQuery, putSegmentRequest, type Segment, segmentPage, segment as segmentSchema } from "@bunting/contracts";
import { pageByKey } from "../http/cursor.ts";
import { pageOf, SEGMENT } from "../http/examples.ts";
import { answer, carryOut, positionHeader } from "../http/mutation.ts";
import { ofSegment } from "../http/parameters.ts";
import { etag, expectedVersion } from "../http/precondition.ts";
import { type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import type { Ledger } from "../ledger/ledger.ts";

const tag = "segments";

export function segmentRoutes(router: Router, { ledger }: { ledger: Pick<Ledger, "state" | "execute"> }): void {
  router.add(
    {
      method: "get",
      path: "/api/v1/segments",
      operationId: "listSegments",
      tag,
      summary: "List segments",
      access: "read",
      query: pageQuery,
      success: { status: 200, description: "One page, by key.", schema: segmentPage, example: pageOf(SEGMENT) },
    },
    ({ query }) => {
      const paged = pageByKey(ledger.state.segments.values(), ({ key }) => key, query);
      return paged.ok ? { status: 200, body: paged.page } : { refusal: paged.refusal };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/segments/{segment}",
      operationId: "getSegment",
      tag,
      summary: "Read a segment",
      access: "read",
      params: ofSegment,
      success: { status: 200, description: "The segment.", schema: segmentSchema, example: SEGMENT, headers: ["ETag"] },
      errors: ["segment_not_found"],
    },
    ({ params }) => {
      const segment = ledger.state.segments.get(params.segment);
      if (!segment) return refused("segment_not_found", `There is no segment ${params.segment}.`);
      return { status: 200, body: segment, headers: { ETag: etag(segment.version) } };
    },
  );

  router.add(
    {
      method: "put",
      path: "/api/v1/segments/{segment}",
      operationId: "putSegment",
      tag,
      summary: "Create or replace a segment",
      description: "To replace one, send its ETag in `If-Match`. To be sure to create one, send `If-None-Match: *`.",
      access: "put_segment",
      params: ofSegment,
      body: { schema: putSegmentRequest, example: { when: SEGMENT.when } },
      ifMatch: "required",
      success: {
        status: 200,
        description: "The segment. 201 if it was created.",
        schema: segmentSchema,
        example: SEGMENT,
        headers: ["ETag", "Bunting-Position"],
      },
      errors: ["segment_not_found", "condition_invalid", "field_immutable", "limit_exceeded", ...STORAGE_ERRORS],
    },
    (request) => {
      const { segment: key } = request.params;
      const existing = ledger.state.segments.get(key);
      const { ifMatch } = request;
      const isCreation = request.ifNoneMatch === "*";
      if (existing && isCreation) return refused("version_mismatch", `There is a segment ${key} already.`);
      if (existing && ifMatch.kind === "absent") {
        return refused("precondition_required", `There is a segment ${key}: send its ETag in If-Match.`);
      }
      if (!existing && ifMatch.kind !== "absent") return refused("segment_not_found", `There is no segment ${key}.`);
      const { key: _key, ...draft } = request.body;
      const command = { type: "put_segment", segment: key, draft, ifVersion: expectedVersion(ifMatch) } as const;
      return answer(
        carryOut(ledger, request, command, (accepted) => {
          const segment = accepted.state.segments.get(key) as Segment;
          const headers = { ETag: etag(segment.version), ...positionHeader(accepted) };
          return { status: existing ? 200 : 201, body: segment, headers };
        }),
      );
    },
  );

  router.add(
    {
      method: "delete",
      path: "/api/v1/segments/{segment}",
      operationId: "deleteSegment",
      tag,
      summary: "Delete a segment",
      access: "delete_segment",
      params: ofSegment,
      ifMatch: "optional",
      success: { status: 204, description: "It is gone.", headers: ["Bunting-Position"] },
      errors: ["segment_not_found", "segment_in_use", ...STORAGE_ERRORS],
    },
    (request) => {
      const { segment } = request.params;
      const command = { type: "delete_segment", segment, ifVersion: expectedVersion(request.ifMatch) } as const;
      const carried = carryOut(ledger, request, command, (accepted) => ({
        status: 204,
        body: {},
        headers: positionHeader(accepted),
      }));
      return carried.ok ? { status: 204, headers: carried.made.headers } : carried.refused;
    },
  );
}
