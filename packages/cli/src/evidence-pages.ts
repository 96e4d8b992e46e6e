import { type EvidenceRow, evidencePage } from "@bunting/contracts";
import { counted } from "./output/words.ts";
import { paths } from "./paths.ts";
import { openBar } from "./progress-bar.ts";
import type { Session } from "./session.ts";

/** To somebody who does not wait for the end of what only reads. */
export const NOTHING_CHANGED = "Not waiting any longer. Nothing was changed.";

interface AskedEvidence {
  readonly attempt: number;
  readonly through?: number;
}

/**
 * The evidence of an attempt by interval, page by page: a week of it is half a gigabyte as JSON, and many times that as objects.
 * Says meanwhile how far it is.
 *
 * @param expectedCount rows that there are, as far as that is known
 */
export async function* evidencePages(
  session: Session,
  rollout: string,
  { expectedCount, ...asked }: AskedEvidence & { readonly expectedCount: number },
): AsyncGenerator<readonly EvidenceRow[]> {
  // A bar of no length cannot be drawn.
  const bar = openBar(session, Math.max(1, expectedCount), NOTHING_CHANGED);
  let rowCount = 0;
  try {
    for await (const rows of session.client.pages(paths.evidence(rollout), evidencePage, { ...asked })) {
      rowCount += rows.length;
      bar.update(Math.min(rowCount, expectedCount), `${counted(rowCount, "row")} of evidence`);
      yield rows;
    }
  } finally {
    bar.end();
  }
}
