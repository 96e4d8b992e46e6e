import type { FailureReport } from "../failure.ts";
import type { Theme } from "./theme.ts";

const ERRORS_SHOWN = 3;

/** At most four lines: code and detail, the fields with what the detail has not said, what to do, and where the server's log says more. */
export function renderFailure({ code, detail, errors = [], remedy, requestId }: FailureReport, theme: Theme): string {
  const fields = errors
    .slice(0, ERRORS_SHOWN)
    .map(({ path, message }) => (detail.startsWith(message) ? `at ${path || "/"}` : `${path || "/"}: ${message}`));
  const hidden = errors.length - fields.length;
  if (hidden > 0) fields.push(`and ${hidden} more`);
  return [
    `${theme.paint("bad", `✗ ${code}`)}  ${oneLine(detail)}`,
    ...(fields.length > 0 ? [`  ${oneLine(fields.join("  "))}`] : []),
    ...(remedy === undefined ? [] : [`  ${oneLine(remedy)}`]),
    ...(requestId ? [theme.paint("faint", `  request ${oneLine(requestId)}`)] : []),
  ].join("\n");
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ");
}
