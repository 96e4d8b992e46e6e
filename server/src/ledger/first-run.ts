import type { EnvironmentKey, TokenDraft } from "@bunting/contracts";
import type { Accepted, Actor, Command } from "./command.ts";
import type { Ledger } from "./ledger.ts";

/** The secrets of a new database: shown once, and kept in `<data>/first-run.json`. */
export interface FirstRun {
  readonly adminToken: string;
  /** By environment. */
  readonly sdkTokens: Readonly<Record<string, string>>;
}

const ENVIRONMENTS = [
  ["production", "Production"],
  ["staging", "Staging"],
  ["development", "Development"],
] as const;

const FOUNDER: Actor = {
  token: "system",
  kind: "system",
  name: "first run",
  environments: null,
  roles: [],
  requestId: "first-run",
};

/** What a new database starts with. Through the same commands as everything else, so the audit begins at the beginning. */
export function furnish(ledger: Ledger): FirstRun {
  const carryOut = (command: Command): Accepted => {
    const outcome = ledger.execute(command, FOUNDER);
    if (!outcome.ok) throw new Error(`The first run failed at ${command.type}: ${outcome.refusal.detail}`);
    return outcome;
  };
  const createToken = (draft: TokenDraft): string => {
    const { secret } = carryOut({ type: "create_token", draft });
    if (secret === undefined) throw new Error("A created token has a secret.");
    return secret;
  };

  for (const [key, name] of ENVIRONMENTS) {
    carryOut({ type: "create_environment", key: key as EnvironmentKey, name });
  }
  const adminToken = createToken({
    kind: "admin",
    name: "first admin",
    environments: null,
    roles: [],
    expiresAt: null,
  });
  const sdkTokens: Record<string, string> = {};
  for (const [key] of ENVIRONMENTS) {
    const environments = [key as EnvironmentKey];
    sdkTokens[key] = createToken({
      kind: "server",
      name: `first ${key} SDK`,
      environments,
      roles: [],
      expiresAt: null,
    });
  }
  return { adminToken, sdkTokens };
}
