import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CreateFlagRequest,
  createFlagRequest,
  type EnvironmentKey,
  type FlagKey,
  type SegmentDraft,
  type SegmentKey,
  segmentDraft,
  type TokenDraft,
  tokenDraft,
} from "@bunting/contracts";
import type { Clock, Logger, Random, Scheduler } from "../ports.ts";
import { createTokenText } from "../tokens/secret.ts";
import type { SecretBox } from "../webhooks/secret-box.ts";
import { createWebhookFacts } from "../webhooks/webhook-facts.ts";
import { type Applied, applyDecision } from "./apply.ts";
import type { Actor, Command } from "./command.ts";
import { decide } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { type LedgerOptions, type OpenedLedger, openLedger } from "./open-ledger.ts";
import type { State } from "./state.ts";

/*
 * For tests of this package only: short ways to say what a test is about.
 */

export const PRODUCTION = "production" as EnvironmentKey;
export const STAGING = "staging" as EnvironmentKey;

export const flagKeyOf = (key: string): FlagKey => key as FlagKey;
export const segmentKeyOf = (key: string): SegmentKey => key as SegmentKey;

export function actor(kind: Actor["kind"] = "admin", environments: readonly EnvironmentKey[] | null = null): Actor {
  return { token: `${kind}-token`, kind, name: `a ${kind}`, environments, roles: [], requestId: "request-1" };
}

/** A flag as it comes out of the request parser. */
function flagDraftOf(key: string, fields: object = {}): CreateFlagRequest {
  return createFlagRequest.parse({ key, ...fields });
}

export const createFlag = (key: string, fields: object = {}): Command => ({
  type: "create_flag",
  draft: flagDraftOf(key, fields),
});

export const patchOf = (
  flag: string,
  patch: Record<string, unknown>,
  { environment = PRODUCTION, ifVersion = null as number | null } = {},
): Command => ({ type: "patch_configuration", environment, flag: flagKeyOf(flag), patch, ifVersion });

export const killOf = (...flags: string[]): Command => ({
  type: "kill",
  environment: PRODUCTION,
  target: { flags: flags.map(flagKeyOf) },
  reason: "it burns",
});

export const restoreOf = (flag: string): Command => ({
  type: "restore",
  environment: PRODUCTION,
  flag: flagKeyOf(flag),
  reason: "it is mended",
});

export const putSegmentOf = (key: string, when: SegmentDraft["when"], ifVersion: number | null = null): Command => ({
  type: "put_segment",
  segment: segmentKeyOf(key),
  draft: segmentDraft.parse({ when }),
  ifVersion,
});

export const createTokenOf = (draft: Partial<TokenDraft> & object): Command => ({
  type: "create_token",
  draft: tokenDraft.parse({ kind: "viewer", name: "a token", ...draft }),
});

/** Shows that something was sealed, and for which record. */
const SEALED: SecretBox = {
  seal: (secret, record) => `sealed(${secret.length} characters for ${record})`,
  open: () => null,
};

/** The pure half of the ledger: commands applied to a state that nobody stores. */
export class World {
  state: State = {
    epoch: "an-epoch",
    environments: new Map(),
    flags: new Map(),
    segments: new Map(),
    tokens: new Map(),
    rollouts: new Map(),
    webhooks: new Map(),
  };
  now = "2026-01-01T00:00:00.000Z";
  readonly #random: Random;

  constructor(random: Random, environments: readonly string[] = ["production", "staging"]) {
    this.#random = random;
    for (const key of environments) {
      this.do({ type: "create_environment", key: key as EnvironmentKey, name: key });
    }
  }

  decide(command: Command, by: Actor = actor()): ReturnType<typeof decide> {
    return decide(command, {
      state: this.state,
      actor: by,
      now: this.now,
      newSalt: () => Math.floor(this.#random.next() * 2 ** 32),
      newToken: (kind) => createTokenText(kind, this.#random, null),
      engine: "node test",
      webhooks: createWebhookFacts(this.#random, SEALED, new Set(["receiver.internal:8080"])),
    });
  }

  /** Carries the command out, and throws if it is refused. */
  do(command: Command, by?: Actor): Applied & { readonly decision: Decision } {
    const decision = this.decide(command, by);
    if (!decision.ok) throw new Error(`${command.type} was refused: ${JSON.stringify(decision.refusal)}`);
    const applied = applyDecision(this.state, decision);
    this.state = applied.state;
    return { ...applied, decision };
  }

  /** The code a command is refused with, or null, and the fields it names. */
  refusal(command: Command, by?: Actor): { code: string | null; paths: readonly string[] } {
    const decided = this.decide(command, by);
    if (decided.ok) return { code: null, paths: [] };
    return { code: decided.refusal.code, paths: (decided.refusal.errors ?? []).map(({ path }) => path) };
  }

  configuration(flag: string, environment: EnvironmentKey = PRODUCTION) {
    const stored = this.state.environments.get(environment)?.configurations.get(flagKeyOf(flag));
    if (!stored) throw new Error(`${flag} has no configuration in ${environment}.`);
    return stored;
  }

  entry(flag: string, environment: EnvironmentKey = PRODUCTION) {
    return this.state.environments.get(environment)?.flags.get(flagKeyOf(flag));
  }
}

/** What a ledger takes from the world, as the testkit makes it. */
export interface Surroundings {
  readonly time: { readonly clock: Clock; readonly scheduler: Scheduler };
  readonly random: Random;
}

/** One line that was logged. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: object;
  readonly message: string;
}

export function createTestLogger(): { readonly logger: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: LogLine["level"]) => (fields: object, message: string) =>
    void lines.push({ level, fields, message });
  const logger: Logger = {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => logger,
  };
  return { logger, lines };
}

/** A data folder that goes with the test, and ledgers opened in it. */
export class TestFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "bunting-ledger-"));
  readonly #log = createTestLogger();
  readonly #surroundings: Surroundings;
  #opened: OpenedLedger | null = null;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  get lines(): readonly LogLine[] {
    return this.#log.lines;
  }

  file(name: string): string {
    return join(this.path, name);
  }

  open(options: Partial<LedgerOptions> = {}): OpenedLedger {
    this.#opened = openLedger({
      dataDir: this.path,
      pepper: null,
      logger: this.#log.logger,
      ballastBytes: 64 * 1024,
      clock: this.#surroundings.time.clock,
      scheduler: this.#surroundings.time.scheduler,
      random: this.#surroundings.random,
      ...options,
    });
    return this.#opened;
  }

  close(): void {
    this.#opened?.ledger.close();
    this.#opened = null;
  }

  remove(): void {
    this.close();
    rmSync(this.path, { recursive: true, force: true });
  }
}
