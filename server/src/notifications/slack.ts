import type {
  DecisionCounts,
  FlagNotification,
  GuardrailVerdict,
  Notification,
  RolloutNotification,
} from "@bunting/contracts";

/*
 * A notification as an incoming webhook of Slack takes it (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
 * https://docs.slack.dev/reference/block-kit/blocks), and with it Mattermost, Rocket.Chat and the like: `text` for whoever shows no blocks.
 */

export interface SlackMessage {
  readonly text: string;
  readonly blocks: readonly SlackBlock[];
  readonly unfurl_links: false;
  readonly unfurl_media: false;
}

export type SlackBlock =
  | { readonly type: "section"; readonly text: SlackText }
  | { readonly type: "section"; readonly fields: readonly SlackText[] }
  | { readonly type: "context"; readonly elements: readonly SlackText[] };

export interface SlackText {
  readonly type: "mrkdwn";
  readonly text: string;
  /** What looks like a name or a channel stays text. */
  readonly verbatim: true;
}

/** Slack refuses the whole message if one of these is exceeded. */
const SECTION_CHARACTERS = 3_000;
const FIELD_CHARACTERS = 2_000;
const FIELDS = 10;
/** Enough for a phone; the rest is in the decision. */
const LINES = 12;

export function slackMessage(notification: Notification): SlackMessage {
  const sign = SIGNS[notification.kind];
  const text = `${sign} ${escapeSlack(notification.text)}`;
  const context = "by" in notification ? `${notification.at} · ${notification.by} · ${notification.id}` : "";
  return {
    text: cut(text, SECTION_CHARACTERS),
    blocks: [
      section(`${sign} *${escapeSlack(notification.text).replaceAll("*", "∗")}*`),
      ...blocksOf(notification),
      { type: "context", elements: [mrkdwn(escapeSlack(context), FIELD_CHARACTERS)] },
    ],
    unfurl_links: false,
    unfurl_media: false,
  };
}

/**
 * Text of others as Slack's mrkdwn: the three characters Slack gives a meaning to (https://docs.slack.dev/messaging/formatting-message-text),
 * so that no name can call a channel together or hide a link; a mark behind each `@`, for what takes Slack's messages but calls
 * everybody at a bare `@all`; and no line breaks or marks of direction, which would let a text look like another one.
 */
export function escapeSlack(text: string): string {
  return text
    .replace(/[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll("@", "@\u2060");
}

const SIGNS: Readonly<Record<Notification["kind"], string>> = {
  "rollout.announced": "🗓️",
  "rollout.started": "🚀",
  "rollout.stage_reached": "📈",
  "rollout.baking": "⏳",
  "rollout.held": "✋",
  "rollout.guardrail_failing": "⚠️",
  "rollout.approval_asked": "🖋️",
  "rollout.approval_reminder": "🖋️",
  "rollout.approved": "👍",
  "rollout.rejected": "👎",
  "rollout.paused": "⏸️",
  "rollout.resumed": "▶️",
  "rollout.rolled_back": "⏪",
  "rollout.killed": "🛑",
  "rollout.aborted": "⏹️",
  "rollout.stood_down": "⏹️",
  "rollout.completed": "✅",
  "flag.killed": "🛑",
  "flag.restored": "▶️",
  "webhook.test": "🔔",
};

function blocksOf(notification: Notification): readonly SlackBlock[] {
  if ("rollout" in notification) return rolloutBlocks(notification);
  if ("flags" in notification) return flagBlocks(notification);
  return [];
}

function flagBlocks({ flags, flagCount, environment, reason }: FlagNotification): readonly SlackBlock[] {
  const more = flagCount > LINES ? `, and ${flagCount - LINES} more` : "";
  return [
    fields([
      ["Environment", environment],
      ["Reason", reason],
      ["Flags", flags.slice(0, LINES).join(", ") + more],
    ]),
  ];
}

function rolloutBlocks({ flag, environment, rollout, plan, decision, nextOpeningAt }: RolloutNotification) {
  const { stage, stageCount, percent, canary, control, attempt, links } = rollout;
  const counts = decision?.counts;
  const blocks: SlackBlock[] = [
    fields([
      ["Flag", flag],
      ["Environment", environment],
      ["Stage", stage === null ? `none of ${stageCount}` : `${stage + 1} of ${stageCount}, attempt ${attempt}`],
      ["Share", `${percent} % ${canary}, the rest ${control}`],
      ...(counts ? ([["Seen", seen(counts)]] as const) : []),
      ...(nextOpeningAt === null ? [] : ([["Next release window", nextOpeningAt]] as const)),
    ]),
  ];
  if (plan) {
    const stages = plan.stages.map(
      ({ percent: share, bakeSeconds, approval }) =>
        `${share} % for ${bakeSeconds} s${approval ? ", then an approval" : ""}`,
    );
    const guardrails = plan.guardrails.map(({ limit, onFail }) => `${limit}, else ${onFail}`);
    blocks.push(section(list("Stages", stages)));
    if (guardrails.length > 0) blocks.push(section(list("Guardrails", guardrails)));
  }
  const judged = decision?.guardrails ?? [];
  if (judged.length > 0) blocks.push(section(list("Guardrails", judged.map(figuresOf))));
  const named = Object.entries(links).map(
    ([name, url]) => `<${slackUrl(url)}|${escapeSlack(name).replaceAll("|", "¦")}>`,
  );
  if (named.length > 0) blocks.push(section(named.slice(0, LINES).join(" · ")));
  return blocks;
}

function seen({ canary, control, fresh }: DecisionCounts): string {
  const all = `${canary.errorCount} errors of ${canary.outcomeCount} (canary), ${control.errorCount} of ${control.outcomeCount} (control)`;
  if (fresh === undefined) return all;
  return `${all}; only just come in: ${fresh.canary.errorCount} of ${fresh.canary.outcomeCount}, ${fresh.control.errorCount} of ${fresh.control.outcomeCount}`;
}

/** One guardrail with what it saw. */
function figuresOf({ limit, verdict, canary, control, rateRatio }: GuardrailVerdict): string {
  const figure = (value: number | null): string => (value === null ? "–" : String(Number(value.toPrecision(3))));
  const ratio = rateRatio
    ? `, ratio ${figure(rateRatio.estimate)} (${figure(rateRatio.low)} to ${figure(rateRatio.high)})`
    : "";
  return `${verdict}: ${limit}: canary ${figure(canary)}, control ${figure(control)}${ratio}`;
}

function list(title: string, lines: readonly string[]): string {
  const shown = lines.slice(0, LINES).map((line) => `• ${escapeSlack(line)}`);
  if (lines.length > LINES) shown.push(`… and ${lines.length - LINES} more`);
  return [`*${title}*`, ...shown].join("\n");
}

function fields(pairs: readonly (readonly [title: string, value: string])[]): SlackBlock {
  return {
    type: "section",
    fields: pairs
      .slice(0, FIELDS)
      .map(([title, value]) => mrkdwn(`*${title}*\n${escapeSlack(value)}`, FIELD_CHARACTERS)),
  };
}

const section = (text: string): SlackBlock => ({ type: "section", text: mrkdwn(text, SECTION_CHARACTERS) });

const mrkdwn = (text: string, limit: number): SlackText => ({ type: "mrkdwn", text: cut(text, limit), verbatim: true });

/** Nothing that ends the link early or begins its name. */
const slackUrl = (url: string): string =>
  url.replace(/[|<>\s\p{Cc}\p{Cf}]/gu, (character) => encodeURIComponent(character)).replaceAll("&", "&amp;");

/** Never in the middle of an entity, of a link, or of a character of two units. */
function cut(text: string, characters: number): string {
  if (text.length <= characters) return text;
  return `${text.slice(0, characters - 1).replace(/(?:<[^>]*|&[a-z]{0,4}|[\uD800-\uDBFF])$/, "")}…`;
}
