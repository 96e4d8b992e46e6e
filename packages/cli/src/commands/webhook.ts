import {
  type Delivery,
  deliveryPage,
  delivery as deliverySchema,
  NOTIFICATION_KINDS,
  type NotificationKind,
  WEBHOOK_FORMATS,
  type Webhook,
  type WebhookFormat,
  type WebhookPatch,
  type WebhookWithSecret,
  webhookPage,
  webhook as webhookSchema,
  webhookWithSecret,
} from "@bunting/contracts";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Action } from "../action.ts";
import { collectKeys, collectList, parseCount, parseKey } from "../arguments.ts";
import { ANY_ANSWER } from "../client.ts";
import { usageFailure } from "../failure.ts";
import { type Column, facts, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { formatAge, formatInstant, formatMs } from "../output/words.ts";
import { paths } from "../paths.ts";
import { confirmed, readGivenFile, type Session } from "../session.ts";

const DEFAULT_LIMIT = 20;

const DELIVERY_STATES = ["waiting", "delivered", "dead"] as const satisfies readonly Delivery["state"][];

export function addWebhookCommands(program: Command, action: Action): void {
  const webhook = program
    .command("webhook")
    .summary("whom the server tells of rollouts and kills")
    .description("Webhooks: whom the server tells of rollouts and kills. Plans name them in `notify`.");

  webhook
    .command("list")
    .description("List webhooks. Addresses and secrets are not shown.")
    .action(action(listWebhooks));

  webhook
    .command("create")
    .summary("tell an address what happens")
    .description(
      "Tell an address what happens. Each delivery is signed with the webhook's secret, which is printed once unless you give one.",
    )
    .argument("<name>", "what plans call it", parseKey)
    .requiredOption(
      "--url-file <path>",
      "file with the address, - for standard input: an address can be a password in itself",
    )
    .addOption(new Option("--format <format>", "how it is written").choices(WEBHOOK_FORMATS).default("json"))
    .option(
      "--kind <kinds>",
      `only these, separated by commas; default all: ${NOTIFICATION_KINDS.join(", ")}`,
      collectKinds,
    )
    .option("--scope <environments>", "only of these environments, separated by commas", collectKeys)
    .option("--secret-file <path>", "file with the secret to sign with")
    .action(action(createWebhook));

  webhook
    .command("set")
    .summary("change its address or format")
    .description(
      "Change its address or its format. What waits for it goes to the new address, in the format it was written in.",
    )
    .argument("<name>", "the webhook", parseKey)
    .option("--url-file <path>", "file with the address, - for standard input")
    .addOption(new Option("--format <format>", "how it is written").choices(WEBHOOK_FORMATS))
    .action(action(setWebhook));

  webhook
    .command("disable")
    .description("Tell it nothing until it is enabled again. What waits for it waits on.")
    .argument("<name>", "the webhook", parseKey)
    .action(action((session: Session, name: string) => patchWebhook(session, name, { enabled: false })));

  webhook
    .command("enable")
    .description("Tell it again what happens, what waited first.")
    .argument("<name>", "the webhook", parseKey)
    .action(action((session: Session, name: string) => patchWebhook(session, name, { enabled: true })));

  webhook
    .command("delete")
    .description("Tell it nothing any more. What waits for it is dropped.")
    .argument("<name>", "the webhook", parseKey)
    .option("-y, --yes", "do not ask for confirmation")
    .action(action(deleteWebhook));

  webhook
    .command("test")
    .summary("send a test notification")
    .description("Send a test notification. `bunting webhook deliveries` shows what became of it.")
    .argument("<name>", "the webhook", parseKey)
    .action(action(testWebhook));

  webhook
    .command("deliveries")
    .summary("what was sent, and what became of it")
    .description("What was sent or waits to be sent, newest first, and what became of it.")
    .argument("<name>", "the webhook", parseKey)
    .option("-n, --limit <count>", `how many; default ${DEFAULT_LIMIT}`, parseCount)
    .addOption(new Option("--state <state>", "only these").choices(DELIVERY_STATES))
    .action(action(listDeliveries));

  webhook
    .command("redeliver")
    .summary("deliver again what was given up")
    .description(
      "Deliver again what was given up: one delivery, or all that are dead, oldest first. Ids and bodies stay the same.",
    )
    .argument("<name>", "the webhook", parseKey)
    .argument("[delivery]", "its id, from `bunting webhook deliveries`")
    .option("--all", "all that are dead")
    .action(action(redeliver));
}

function collectKinds(text: string, previous: readonly NotificationKind[] = []): NotificationKind[] {
  const kinds = collectList(text);
  const isKind = (kind: string): kind is NotificationKind => (NOTIFICATION_KINDS as readonly string[]).includes(kind);
  const unknown = kinds.find((kind) => !isKind(kind));
  if (unknown !== undefined) throw new InvalidArgumentError(`There is no kind ${unknown}.`);
  return [...previous, ...kinds.filter(isKind)];
}

async function listWebhooks({ client, output, world }: Session): Promise<void> {
  const items = await client.list(paths.webhooks, webhookPage);
  output.show({ items }, ({ items }, theme) =>
    table(
      items,
      webhookColumns(world.now(), theme),
      theme,
      "No webhooks yet: `bunting webhook create <name>` makes one.",
    ),
  );
}

interface WebhookCreateOptions {
  readonly urlFile: string;
  readonly format: WebhookFormat;
  readonly kind?: readonly NotificationKind[];
  readonly scope?: readonly string[];
  readonly secretFile?: string;
}

async function createWebhook(session: Session, name: string, options: WebhookCreateOptions): Promise<void> {
  const { client, output } = session;
  const { urlFile, format, kind, scope, secretFile } = options;
  const secret = secretFile === undefined ? undefined : readGivenFile(secretFile, session).trim();
  const body = {
    name,
    url: readGivenFile(urlFile, session).trim(),
    format,
    kinds: kind ?? null,
    environments: scope ?? null,
    ...(secret !== undefined && { secret }),
  };
  if (body.url === "") throw usageFailure(`There is no address in ${urlFile}.`);
  const { value } = await client.write({ method: "POST", path: paths.webhooks, body, schema: webhookWithSecret });
  output.show(value, renderCreated);
}

function renderCreated(created: WebhookWithSecret, theme: Theme): string {
  return [
    `${theme.paint("good", "✓")} Created webhook ${theme.paint("strong", created.name)}.`,
    facts(
      [
        ["sends to", created.origin],
        ["as", created.format],
        ["tells", kindsOf(created)],
        ["environments", scopeOf(created)],
        ["secret", created.secret && theme.paint("strong", created.secret)],
      ],
      theme,
    ),
    ...(created.secret === undefined ? [] : [theme.paint("caution", "The secret cannot be shown again.")]),
  ].join("\n");
}

interface WebhookSetOptions {
  readonly urlFile?: string;
  readonly format?: WebhookFormat;
}

async function setWebhook(session: Session, name: string, { urlFile, format }: WebhookSetOptions): Promise<void> {
  const url = urlFile === undefined ? undefined : readGivenFile(urlFile, session).trim();
  if (url === "") throw usageFailure(`There is no address in ${urlFile}.`);
  if (url === undefined && format === undefined) throw usageFailure("Give --url-file, --format, or both.");
  await patchWebhook(session, name, { ...(url !== undefined && { url }), ...(format !== undefined && { format }) });
}

async function patchWebhook({ client, output }: Session, name: string, patch: WebhookPatch): Promise<void> {
  const request = { method: "PATCH", path: paths.webhook(name), body: patch, schema: webhookSchema } as const;
  const { value } = await client.write(request);
  output.show(value, (webhook, theme) =>
    [
      `${theme.paint("good", "✓")} Changed webhook ${theme.paint("strong", webhook.name)}.`,
      facts(
        [
          ["sends to", webhook.origin],
          ["as", webhook.format],
          ["state", stateOf(webhook, theme)],
        ],
        theme,
      ),
    ].join("\n"),
  );
}

async function deleteWebhook(session: Session, name: string, options: { readonly yes?: boolean }): Promise<void> {
  const { client, output } = session;
  await confirmed(options.yes, `Delete webhook ${name}?`, session);
  await client.write({ method: "DELETE", path: paths.webhook(name), schema: ANY_ANSWER });
  output.show({ deleted: name }, ({ deleted }, theme) => `${theme.paint("good", "✓")} Deleted webhook ${deleted}.`);
}

async function testWebhook(session: Session, name: string): Promise<void> {
  const { client, output } = session;
  const { value } = await client.write({ method: "POST", path: paths.webhookTest(name), schema: deliverySchema });
  output.show(
    value,
    (delivery, theme) =>
      `${theme.paint("good", "✓")} Delivery ${delivery.id} is on its way. \`bunting webhook deliveries ${name}\` shows what becomes of it.`,
  );
}

interface DeliveriesOptions {
  readonly limit?: number;
  readonly state?: Delivery["state"];
}

async function listDeliveries(session: Session, name: string, options: DeliveriesOptions): Promise<void> {
  const { client, output, world } = session;
  const { limit = DEFAULT_LIMIT, state } = options;
  const items = await client.list(
    paths.deliveries(name),
    deliveryPage,
    { ...(state !== undefined && { state }) },
    limit,
  );
  output.show({ items }, ({ items }, theme) =>
    table(items, deliveryColumns(world.now(), theme), theme, "Nothing was sent yet."),
  );
}

async function redeliver(
  { client, output }: Session,
  name: string,
  delivery: string | undefined,
  { all = false }: { readonly all?: boolean },
): Promise<void> {
  if (all === (delivery !== undefined)) throw usageFailure("Name one delivery, or give --all.");
  const dead = all ? await client.list(paths.deliveries(name), deliveryPage, { state: "dead" }) : [];
  const ids = delivery === undefined ? dead.map(({ id }) => id).reverse() : [delivery];
  const items: Delivery[] = [];
  for (const id of ids) {
    // A second try would be refused because of the first: by then the delivery waits.
    const request = { method: "POST", path: paths.redeliver(name, id), isRepeatable: false } as const;
    const { value } = await client.write({ ...request, schema: deliverySchema });
    items.push(value);
  }
  output.show({ items }, ({ items }, theme) =>
    items.length === 0
      ? theme.paint("faint", "Nothing was given up.")
      : items.map(({ id }) => `${theme.paint("good", "✓")} Delivery ${id} is on its way.`).join("\n"),
  );
}

function webhookColumns(nowMs: number, theme: Theme): Column<Webhook>[] {
  return [
    { title: "webhook", cell: ({ name }) => theme.paint("strong", name) },
    { title: "sends to", cell: ({ origin }) => origin },
    { title: "as", cell: ({ format }) => format },
    { title: "tells", cell: kindsOf },
    { title: "environments", cell: scopeOf },
    { title: "state", cell: (webhook) => stateOf(webhook, theme) },
    {
      title: "tested",
      cell: ({ testedAt }) => (testedAt === null ? theme.paint("faint", "never") : formatAge(testedAt, nowMs)),
    },
  ];
}

function deliveryColumns(nowMs: number, theme: Theme): Column<Delivery>[] {
  return [
    { title: "delivery", cell: ({ id }) => id },
    { title: "kind", cell: ({ kind }) => kind },
    { title: "created", cell: ({ createdAt }) => formatAge(createdAt, nowMs) },
    { title: "state", cell: ({ state }) => theme.paint(STATE_STYLES[state], state) },
    { title: "tries", align: "right", cell: ({ tryCount }) => String(tryCount) },
    { title: "last", cell: lastTry },
    { title: "next try (UTC)", cell: ({ nextTryAt }) => (nextTryAt === null ? "" : formatInstant(nextTryAt)) },
  ];
}

const STATE_STYLES = { waiting: "caution", delivered: "good", dead: "bad" } as const;

function lastTry({ lastTry: tried }: Delivery): string {
  if (tried === null) return "";
  const answer = tried.statusClass ?? tried.failure ?? "";
  return `${answer.replaceAll("_", " ")} after ${formatMs(tried.durationMs)}`;
}

function stateOf({ enabled }: Pick<Webhook, "enabled">, theme: Theme): string {
  return enabled ? "enabled" : theme.paint("caution", "disabled");
}

function kindsOf({ kinds }: Pick<Webhook, "kinds">): string {
  return kinds?.join(", ") ?? "everything";
}

function scopeOf({ environments }: Pick<Webhook, "environments">): string {
  return environments?.join(", ") ?? "all";
}
