import {
  type Decision,
  type EnvironmentKey,
  type FlagKey,
  notification as notificationSchema,
  ROLLOUT_NOTICES,
  type Rollout,
  type RolloutNotice,
  rolloutPlan,
} from "@bunting/contracts";
import { LIMITS, NOTIFICATION_KINDS } from "@bunting/contracts/literals";
import { describe, expect, it } from "vitest";
import type { StoredWebhook } from "../webhooks/stored-webhook.ts";
import { flagAnnouncement } from "./flag-notifications.ts";
import { withId } from "./notification.ts";
import { outboxRows } from "./outbox-rows.ts";
import { notificationsOf } from "./rollout-notifications.ts";
import { escapeSlack, type SlackMessage, slackMessage } from "./slack.ts";

const PRODUCTION = "production" as EnvironmentKey;
/** A Saturday, on which nothing may be released. */
const AT = "2025-08-16T12:00:00.000Z";

const plan = rolloutPlan.parse({
  canary: "on",
  control: "off",
  stages: [{ percent: 5 }, { percent: 50, approval: true }, { percent: 100 }],
  guardrails: [{ metric: "error_rate", max: 0.01, worseThanControl: true }],
  windows: [{ timezone: "Europe/Paris", days: ["tue", "wed", "thu"], from: "14:00", to: "17:00" }],
  notify: ["releases"],
  links: { "Error dashboard": "https://grafana.example.com/d/1?a=b&c=d|e" },
});

function rolloutWith(changes: Partial<Rollout> = {}): Rollout {
  return {
    id: "r-1",
    environment: PRODUCTION,
    flag: "new-checkout" as FlagKey,
    plan,
    state: "running",
    attempt: 1,
    stage: 0,
    percent: 5,
    configurationVersion: 3,
    formerServe: null,
    startedAt: AT,
    startedBy: "ana",
    stageStartedAt: AT,
    askedAt: null,
    endedAt: null,
    because: "Ana planned it.",
    signatures: [
      { stage: 0, by: "sre", token: "t", roles: ["sre"], decision: "reject", comment: "Backlog grows.", at: AT },
    ],
    checklist: [],
    latestDecision: null,
    createdBy: "ana",
    createdAt: AT,
    version: 2,
    ...changes,
  };
}

function decisionWith(changes: Partial<Decision> = {}): Decision {
  const counts = { exposureCount: 500, outcomeCount: 500, errorCount: 40, unitCount: 400 };
  return {
    id: "r-1.7",
    rollout: "r-1",
    attempt: 1,
    stage: 0,
    at: AT,
    by: "controller",
    verdict: "fail",
    cause: null,
    action: "rollback",
    forced: false,
    because: "Errors are at 8 %, over the limit of 1 %.",
    guardrails: [
      {
        id: "error_rate",
        limit: "error_rate <= 1 %",
        required: true,
        onFail: "rollback",
        verdict: "fail",
        cause: null,
        canary: 0.08,
        control: 0.004,
        rateRatio: { low: 4.1, estimate: 20, high: 97.123 },
        logEvidence: 12,
        logNonInferiority: null,
        failingSince: AT,
        explanation: "It fails.",
      },
    ],
    bakedSeconds: 12,
    counts: { canary: counts, control: { ...counts, errorCount: 2 } },
    nextStep: { step: "promote", notBefore: null, waitsFor: ["2 min of evidence"] },
    revision: 9,
    engine: "node test",
    ...changes,
  };
}

const tell = (
  notice: RolloutNotice | "announced",
  decision: Decision | null = decisionWith(),
  rollout = rolloutWith(),
) => {
  const [announcement] = notificationsOf({ notices: [notice], rollout, decision, by: "controller", at: AT });
  if (!announcement) throw new Error("A notice makes an announcement.");
  return { ...announcement, notification: withId(announcement.notification, "n-1") };
};

function webhookWith(changes: Partial<StoredWebhook> = {}): StoredWebhook {
  return {
    id: "w-1",
    name: "releases",
    origin: "https://hooks.example.com",
    sealedUrl: "",
    format: "json",
    enabled: true,
    kinds: null,
    environments: null,
    secrets: [],
    createdAt: AT,
    createdBy: "t",
    testedAt: null,
    ...changes,
  };
}

const killed = (...flags: string[]) =>
  withId(
    flagAnnouncement({
      kind: "flag.killed",
      environment: PRODUCTION,
      flags: flags as FlagKey[],
      by: "on-call",
      at: AT,
      reason: "p99 at 4 s",
    }).notification,
    "n-2",
  );

describe("NO-3 a notification says what happened in one sentence", () => {
  const sentences: Record<RolloutNotice | "announced", string> = {
    announced: "controller plans to roll out on of new-checkout in production in 3 stages.",
    started: "controller started attempt 1 of new-checkout in production: 5 % on (stage 1 of 3).",
    stage_reached:
      "new-checkout in production reached 5 % on (stage 1 of 3): errors are at 8 %, over the limit of 1 %.",
    baking: "new-checkout in production is at 5 % on (stage 1 of 3), waiting for 2 min of evidence.",
    held: "new-checkout in production is held at 5 % on (stage 1 of 3): errors are at 8 %, over the limit of 1 %.",
    guardrail_failing:
      "A guardrail of new-checkout in production fails at 5 % on (stage 1 of 3): errors are at 8 %, over the limit of 1 %.",
    approval_asked:
      "new-checkout in production at 5 % on (stage 1 of 3) asks for approval, waiting for 2 min of evidence.",
    approval_reminder:
      "new-checkout in production at 5 % on (stage 1 of 3) still asks for approval, waiting for 2 min of evidence.",
    approved: "sre approved new-checkout in production at 5 % on (stage 1 of 3): Backlog grows.",
    rejected: "sre rejected new-checkout in production at 5 % on (stage 1 of 3): Backlog grows.",
    paused:
      "controller paused new-checkout in production at 5 % on (stage 1 of 3): errors are at 8 %, over the limit of 1 %.",
    resumed: "controller resumed new-checkout in production at 5 % on (stage 1 of 3).",
    rolled_back:
      "new-checkout in production was rolled back to off by controller: errors are at 8 %, over the limit of 1 %. The next release window opens at 2025-08-19T12:00:00.000Z.",
    killed:
      "new-checkout in production was killed by controller: errors are at 8 %, over the limit of 1 %. The next release window opens at 2025-08-19T12:00:00.000Z.",
    aborted:
      "controller aborted the rollout of new-checkout in production: errors are at 8 %, over the limit of 1 %. The next release window opens at 2025-08-19T12:00:00.000Z.",
    stood_down:
      "The rollout of new-checkout in production stood down: errors are at 8 %, over the limit of 1 %. The next release window opens at 2025-08-19T12:00:00.000Z.",
    completed: "new-checkout in production is complete: 5 % on.",
  };

  it.each(Object.entries(sentences))("rollout.%s", (notice, sentence) => {
    expect(tell(notice as RolloutNotice).notification.text).toBe(sentence);
  });

  it("for every notice that a rollout gives, and each is of the contract", () => {
    expect(Object.keys(sentences).sort()).toEqual([...ROLLOUT_NOTICES, "announced"].sort());
    for (const notice of ["announced", ...ROLLOUT_NOTICES] as const) {
      const { notification } = tell(notice);
      expect(NOTIFICATION_KINDS).toContain(notification.kind);
      expect(notificationSchema.parse(notification)).toEqual(notification);
    }
  });

  it("carries the figures of a rollback, and when the next window opens", () => {
    const { notification } = tell("rolled_back");
    expect(notification).toMatchObject({
      decision: { verdict: "fail", guardrails: [{ canary: 0.08, control: 0.004, rateRatio: { estimate: 20 } }] },
      nextOpeningAt: "2025-08-19T12:00:00.000Z",
      plan: null,
    });
  });

  it("announces the stages and the criteria beforehand", () => {
    expect(tell("announced", null).notification).toMatchObject({
      plan: {
        stages: [
          { percent: 5, approval: false },
          { percent: 50, approval: true },
          { percent: 100, approval: false },
        ],
        guardrails: [{ limit: "error_rate <= 1 % and not worse than the control", onFail: "rollback" }],
      },
      decision: null,
    });
  });

  it("tells of a flag by its name, its environment, the person and the reason", () => {
    expect(killed("a").text).toBe("on-call killed a in production: p99 at 4 s");
  });
});

describe("NO-4 a kill of many flags is one notification", () => {
  it("that names the first hundred and counts all", () => {
    const flags = Array.from({ length: 250 }, (_, index) => `flag-${String(index).padStart(3, "0")}`).reverse();
    const notification = killed(...flags);
    expect(notification).toMatchObject({ flagCount: 250, text: "on-call killed 250 flags in production: p99 at 4 s" });
    expect("flags" in notification && notification.flags).toEqual([...flags].sort().slice(0, 100));
  });
});

describe("NO-2 who is told", () => {
  const releases = webhookWith();
  const pager = webhookWith({ id: "w-2", name: "pager", kinds: ["rollout.rolled_back", "flag.killed"] });
  const staging = webhookWith({ id: "w-3", name: "staging", environments: ["staging" as EnvironmentKey] });
  const all = [releases, pager, staging];
  const told = (...args: Parameters<typeof outboxRows>): string[] => outboxRows(...args).map(({ webhook }) => webhook);

  it("everybody who takes the kind and the environment, where nobody is named", () => {
    expect(told(tell("rolled_back").notification, all)).toEqual(["w-1", "w-2"]);
    expect(told(tell("completed").notification, all)).toEqual(["w-1"]);
    expect(told(killed("a"), all)).toEqual(["w-1", "w-2"]);
  });

  it("of those whom the plan names, the ones that take it", () => {
    const { notification, to } = tell("completed");
    expect(to).toEqual(["releases"]);
    expect(told(notification, all, to)).toEqual(["w-1"]);
    expect(told(notification, all, ["pager", "staging", "gone"])).toEqual([]);
  });

  it("by a test, the one that was asked for, whatever it takes", () => {
    const test = { id: "n-3", kind: "webhook.test", at: AT, by: "ana", text: "ana tests." } as const;
    expect(told(test, all, ["staging"])).toEqual(["w-3"]);
  });

  it("once each: a row's id is of the notification and the webhook", () => {
    expect(outboxRows(killed("a"), all).map(({ id }) => id)).toEqual(["n-2.w-1", "n-2.w-2"]);
  });
});

describe("NO-6 a body fits its limit", () => {
  it("without its figures, if it would not with them", () => {
    const [guardrail] = decisionWith().guardrails;
    if (!guardrail) throw new Error("The fixture has a guardrail.");
    const guardrails = Array.from({ length: 32 }, () => ({ ...guardrail, explanation: "x".repeat(4_000) }));
    for (const format of ["json", "slack"] as const) {
      const [row] = outboxRows(tell("rolled_back", decisionWith({ guardrails })).notification, [
        webhookWith({ format }),
      ]);
      expect(Buffer.byteLength(row?.body ?? "")).toBeLessThanOrEqual(LIMITS.notificationBytes);
      expect(row?.body).toContain("rolled back to off");
    }
    const [small] = outboxRows(tell("rolled_back").notification, [webhookWith()]);
    expect(JSON.parse(small?.body ?? "")).toEqual(tell("rolled_back").notification);
  });
});

describe("NO-5 a message for Slack", () => {
  const textsOf = ({ text, blocks }: SlackMessage): string[] => [
    text,
    ...blocks.flatMap((block) =>
      block.type === "context"
        ? block.elements.map((element) => element.text)
        : "fields" in block
          ? block.fields.map((field) => field.text)
          : [block.text.text],
    ),
  ];

  it.each([
    ["<!channel> & <https://evil.example|here>", "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;"],
    ["@here and @everyone", "@\u2060here and @\u2060everyone"],
    ["two\nlines\u2028and \u202Eturned", "two lines and turned"],
    ["plain: 5 % *bold*", "plain: 5 % *bold*"],
  ])("escapes %j", (text, escaped) => expect(escapeSlack(text)).toBe(escaped));

  it("shows share, figures and the next window, and links what the plan links", () => {
    const texts = textsOf(slackMessage(tell("rolled_back").notification)).join("\n");
    expect(texts).toContain("*Share*\n5 % on, the rest off");
    expect(texts).toContain("• fail: error_rate &lt;= 1 %: canary 0.08, control 0.004, ratio 20 (4.1 to 97.1)");
    expect(texts).toContain("40 errors of 500 (canary), 2 of 500 (control)");
    expect(texts).toContain("*Next release window*\n2025-08-19T12:00:00.000Z");
    expect(texts).toContain("<https://grafana.example.com/d/1?a=b&amp;c=d%7Ce|Error dashboard>");
  });

  it("says which of the figures had only just come in (GA-159)", () => {
    const { counts } = decisionWith();
    const fresh = { canary: { ...counts.canary, outcomeCount: 36, errorCount: 33 }, control: counts.control };
    const { notification } = tell("rolled_back", decisionWith({ counts: { ...counts, fresh } }));
    expect(notificationSchema.parse(notification)).toMatchObject({ decision: { counts: { fresh } } });
    expect(textsOf(slackMessage(notification)).join("\n")).toContain(
      "40 errors of 500 (canary), 2 of 500 (control); only just come in: 33 of 36, 2 of 500",
    );
  });

  it("lets nothing that others wrote call anybody or make a link", () => {
    const hostile = "<!channel> <@U1> <https://evil.example|x> @all";
    const rollout = rolloutWith({ plan: { ...plan, links: { [hostile]: "https://ok.example/<!here>|x" } } });
    const notifications = [
      tell("rolled_back", decisionWith({ because: hostile, by: hostile }), rollout).notification,
      tell("announced", null, rollout).notification,
      withId(
        flagAnnouncement({
          kind: "flag.killed",
          environment: PRODUCTION,
          flags: ["a" as FlagKey],
          by: hostile,
          at: AT,
          reason: hostile,
        }).notification,
        "n-4",
      ),
    ];
    for (const notification of notifications) {
      for (const text of textsOf(slackMessage(notification))) {
        const links = text.match(/<[^>]*>/g) ?? [];
        expect(links.filter((link) => !link.startsWith("<https://ok.example/%3C!here%3E%7Cx|"))).toEqual([]);
        expect(text).not.toMatch(/@(all|channel|here)/);
      }
    }
  });

  it("stays within the lengths that Slack takes", () => {
    const long = "& long <".repeat(2_000);
    const [guardrail] = decisionWith().guardrails;
    if (!guardrail) throw new Error("The fixture has a guardrail.");
    const guardrails = Array.from({ length: 32 }, () => ({ ...guardrail, limit: long }));
    const message = slackMessage(tell("rolled_back", decisionWith({ because: long, guardrails })).notification);
    expect(message.blocks.length).toBeLessThanOrEqual(50);
    for (const text of textsOf(message)) {
      expect(text.length).toBeLessThanOrEqual(3_000);
      expect(text).not.toMatch(/&(?!amp;|lt;|gt;)/);
    }
    for (const block of message.blocks) {
      if (!("fields" in block)) continue;
      expect(block.fields.length).toBeLessThanOrEqual(10);
      for (const { text } of block.fields) expect(text.length).toBeLessThanOrEqual(2_000);
    }
  });
});
