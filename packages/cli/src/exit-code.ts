/** What a script can tell from the exit code alone. Part of the interface: a number never changes its meaning. */
export const EXIT_CODES = {
  done: 0,
  refused: 1,
  usage: 2,
  unreachable: 3,
  unauthorised: 4,
  waitedInVain: 5,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** What a shell says of a process that Ctrl-C ended. No command ends so by itself. */
export const INTERRUPTED = 130;
export const INTERRUPTED_MEANING = "interrupted by Ctrl-C; whatever was sent before stays done";

/** As the help and the reference say it. */
export const EXIT_CODE_MEANINGS: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "refused by the server; from `audit verify`: the audit is broken; from `backup`: the file could not be written, or is not what the server made; from `rollout watch`: it ended otherwise than completed; from `rollout replay`: it is decided otherwise; from `serve`: it could not start",
  2: "the command line is wrong; nothing was sent",
  3: "no Bunting server answers at the URL",
  4: "not authorised: no token, an unknown one, or one of a kind that may not do this",
  5: "the change is made, but not all instances have applied it in the time given",
};
