import {
  type CreatedToken,
  createTokenResponse,
  TOKEN_KINDS,
  type Token,
  tokenPage,
  token as tokenSchema,
} from "@bunting/contracts";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Action } from "../action.ts";
import { collectKeys, collectList, parseExpiry } from "../arguments.ts";
import { type Column, facts, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { formatAge, formatInstant } from "../output/words.ts";
import { paths } from "../paths.ts";
import { confirmed, type Session } from "../session.ts";
import type { World } from "../world.ts";

export function addTokenCommands(program: Command, action: Action, world: Pick<World, "now">): void {
  const token = program
    .command("token")
    .summary("list, create and revoke tokens")
    .description("Tokens: of people and scripts, and of SDKs.");

  token
    .command("list")
    .description("List tokens. Secrets are shown only once, when a token is created.")
    .option("--revoked", "also the revoked and expired ones")
    .action(action(listTokens));

  token
    .command("create")
    .summary("create a token and print its secret, once")
    .description(
      "Create a token and print its secret, once. Kinds: admin (everything), operator (kill, restore, percentages, rollouts), viewer (reads), server (an application's SDK), client (reserved for browsers).",
    )
    .argument("<name>", "who or what will use it")
    .addOption(new Option("--kind <kind>", "what it may do").choices(TOKEN_KINDS).makeOptionMandatory())
    .option(
      "--scope <environments>",
      "environments it may see, separated by commas; server and client tokens take exactly one; default all",
      collectKeys,
    )
    .option(
      "--role <roles>",
      "what its holder may sign for where an approval names roles, separated by commas; repeatable",
      collectList,
    )
    .option("--expires <when>", "a span like 90d, or an instant; default never", (text) =>
      parseExpiry(text, world.now()),
    )
    .action(action(createToken));

  token
    .command("revoke")
    .summary("end a token, and every stream opened with it")
    .description("End a token. Streams that were opened with it are closed within two seconds.")
    .argument("<id>", "its id, from `bunting token list`", parseTokenId)
    .option("-y, --yes", "do not ask for confirmation")
    .action(action(revokeToken));
}

async function listTokens({ client, output, world }: Session, options: { readonly revoked?: boolean }): Promise<void> {
  const now = world.now();
  const all = await client.list(paths.tokens, tokenPage);
  const items = options.revoked ? all : all.filter((token) => isLive(token, now));
  output.show({ items }, ({ items }, theme) => table(items, tokenColumns(now, theme), theme, "No tokens."));
}

interface TokenCreateOptions {
  readonly kind: Token["kind"];
  readonly scope?: readonly string[];
  readonly role?: readonly string[];
  readonly expires?: string;
}

async function createToken(
  { client, output }: Session,
  name: string,
  { kind, scope, role, expires }: TokenCreateOptions,
): Promise<void> {
  const body = { kind, name, environments: scope ?? null, roles: role ?? [], expiresAt: expires ?? null };
  const { value } = await client.write({ method: "POST", path: paths.tokens, body, schema: createTokenResponse });
  output.show(value, renderCreated);
}

async function revokeToken(session: Session, id: string, options: { readonly yes?: boolean }): Promise<void> {
  const { client, output } = session;
  await confirmed(options.yes, `Revoke token ${id}? Applications that use it lose their connection.`, session);
  const { value } = await client.write({ method: "DELETE", path: paths.token(id), schema: tokenSchema });
  output.show(
    value,
    (revoked, theme) =>
      `${theme.paint("good", "✓")} Revoked ${theme.paint("strong", revoked.name)} (${revoked.kind}, ${revoked.id}).`,
  );
}

function renderCreated(created: CreatedToken, theme: Theme): string {
  return [
    `${theme.paint("good", "✓")} Created ${created.kind} token ${theme.paint("strong", created.name)}.`,
    facts(
      [
        ["id", created.id],
        ["environments", scopeOf(created)],
        ["roles", created.roles.join(", ")],
        ["expires", created.expiresAt === null ? "never" : `${formatInstant(created.expiresAt)} UTC`],
        ["secret", theme.paint("strong", created.secret)],
      ],
      theme,
    ),
    theme.paint("caution", "The secret is not kept and cannot be shown again."),
  ].join("\n");
}

function tokenColumns(nowMs: number, theme: Theme): Column<Token>[] {
  return [
    { title: "id", cell: ({ id }) => id },
    { title: "kind", cell: ({ kind }) => kind },
    { title: "name", cell: ({ name }) => theme.paint("strong", name) },
    { title: "environments", cell: scopeOf },
    { title: "roles", cell: ({ roles }) => roles.join(", ") },
    {
      title: "last used",
      cell: ({ lastUsedAt }) => (lastUsedAt === null ? theme.paint("faint", "never") : formatAge(lastUsedAt, nowMs)),
    },
    {
      title: "expires (UTC)",
      cell: ({ expiresAt }) => (expiresAt === null ? theme.paint("faint", "never") : formatInstant(expiresAt)),
    },
    { title: "state", cell: (token) => stateOf(token, nowMs, theme) },
  ];
}

function stateOf(token: Token, nowMs: number, theme: Theme): string {
  if (token.revokedAt !== null) return theme.paint("bad", "revoked");
  return isLive(token, nowMs) ? theme.paint("good", "live") : theme.paint("caution", "expired");
}

function isLive({ revokedAt, expiresAt }: Token, nowMs: number): boolean {
  return revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > nowMs);
}

function scopeOf({ environments }: Token): string {
  return environments === null ? "all" : environments.join(", ");
}

/** A whole token here would be a secret in the shell's history. */
function parseTokenId(text: string): string {
  if (text.startsWith("bnt_")) throw new InvalidArgumentError("Give the id of the token, never the token itself.");
  if (!/^[0-9A-Za-z]{12}$/.test(text))
    throw new InvalidArgumentError("Give its id, 12 letters and digits: `bunting token list` shows the ids.");
  return text;
}
