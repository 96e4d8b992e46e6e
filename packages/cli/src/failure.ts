import { ERRORS, type Problem } from "@bunting/contracts";
import { EXIT_CODES, type ExitCode } from "./exit-code.ts";

/** What a person or a script is told when a command does not do what was asked. */
export interface FailureReport {
  /** From the error catalogue, or one of `usage`, `unreachable`, `no_token`, `unexpected_answer`, `not_all_applied`, `audit_broken`, `not_completed`, `replay_differs`, `not_replayable`, `evidence_gone`, `evidence_unreadable`, `backup_damaged`, `file_not_written`. */
  readonly code: string;
  readonly detail: string;
  /** What is wrong with which field. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** What to do about it. */
  readonly remedy?: string;
  /** Names the request in the server's log. */
  readonly requestId?: string;
}

/** Ends a command. Thrown by the shells alone; whoever decides returns values. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: ExitCode;
  readonly report: FailureReport;

  constructor(exitCode: ExitCode, report: FailureReport, options?: ErrorOptions) {
    super(report.detail, options);
    this.exitCode = exitCode;
    this.report = report;
  }
}

/** The command line makes no sense; nothing was sent. */
export function usageFailure(detail: string, remedy?: string): Failure {
  return new Failure(EXIT_CODES.usage, { code: "usage", detail, ...(remedy !== undefined && { remedy }) });
}

/** The server said no. The remedy is the server's, else that of this release's catalogue. */
export function refusal(problem: Problem): Failure {
  const known = Object.hasOwn(ERRORS, problem.code) ? ERRORS[problem.code as keyof typeof ERRORS].remedy : undefined;
  const remedy = problem.remedy ?? known;
  const unauthorised = problem.status === 401 || problem.code === "forbidden";
  return new Failure(unauthorised ? EXIT_CODES.unauthorised : EXIT_CODES.refused, {
    code: problem.code,
    detail: problem.detail,
    requestId: problem.requestId,
    ...(problem.errors !== undefined && { errors: problem.errors }),
    ...(remedy !== undefined && { remedy }),
  });
}
