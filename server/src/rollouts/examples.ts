import { RECEIPT } from "../http/examples.ts";

/*
 * Examples for /openapi.json: one rollout, a few minutes into its first stage.
 */

const AT = "2026-11-24T13:06:00.000Z";

const PLAN = {
  canary: "on",
  control: "off",
  scope: { fallthrough: true },
  stages: [
    { percent: 5, bakeSeconds: 300 },
    { percent: 100, bakeSeconds: 3600, approval: { roles: ["SRE"], signatures: 1, byOthers: true } },
  ],
  guardrails: [
    {
      metric: "error_rate",
      max: 0.01,
      worseThanControl: true,
      onFail: "rollback",
      forSeconds: 0,
      required: true,
      exclusive: false,
    },
  ],
  minSamples: 100,
  analysisIntervalSeconds: 60,
  autoPromote: true,
  autoRollback: true,
  falseAlarmBudget: 0.01,
  falsePromotionBudget: 0.05,
  harmBudgetRate: 0.25,
  decideBy: "evidence",
  maxStageSeconds: 1800,
  onNoData: "hold",
  windows: [{ timezone: "Europe/Paris", days: ["tue", "wed", "thu"], from: "14:00", to: "17:00" }],
  freezes: [],
  notify: ["releases"],
  checklist: ["Dashboards are imported"],
  links: { dashboard: "https://grafana.example.com/d/sessions" },
};

const NEXT_STEP = { step: "promote", notBefore: "2026-11-24T13:08:30.000Z", waitsFor: ["150 s of evidence"] };

const GUARDRAIL = {
  id: "error_rate",
  limit: "error_rate <= 1 % and not worse than control",
  required: true,
  onFail: "rollback",
  verdict: "pass",
  cause: null,
  canary: 0.0031,
  control: 0.0034,
  rateRatio: { low: 0.41, estimate: 0.91, high: 1.72 },
  logEvidence: -1.2,
  logNonInferiority: 3.4,
  failingSince: null,
  explanation: "0.31 % against 0.34 %",
};

const ROLLOUT_FACTS = {
  id: "ro-3f9c21ab77d0",
  environment: "production",
  flag: "redis-readthrough",
  plan: PLAN,
  state: "running",
  attempt: 1,
  stage: 0,
  percent: 5,
  configurationVersion: 12,
  formerServe: { split: { on: 0, off: 100 } },
  startedAt: "2026-11-24T13:03:00.000Z",
  startedBy: "release owner",
  stageStartedAt: "2026-11-24T13:03:00.000Z",
  askedAt: null,
  endedAt: null,
  because: "Held at 5 % (baking): 150 s of evidence are missing",
  signatures: [],
  checklist: [{ item: "Dashboards are imported", by: "release owner", at: "2026-11-24T13:02:10.000Z" }],
  latestDecision: "ro-3f9c21ab77d0.4",
  createdBy: "release owner",
  createdAt: "2026-11-24T12:55:00.000Z",
  version: 3,
};

const COUNTS = {
  canary: { exposureCount: 1_290, outcomeCount: 1_288, errorCount: 4, unitCount: 611 },
  control: { exposureCount: 24_410, outcomeCount: 24_398, errorCount: 83, unitCount: 11_502 },
};

export const ROLLOUT = {
  ...ROLLOUT_FACTS,
  nextStep: NEXT_STEP,
  guardrails: [GUARDRAIL],
  bakedSeconds: 150,
  counts: COUNTS,
};

export const DECISION = {
  id: "ro-3f9c21ab77d0.4",
  rollout: "ro-3f9c21ab77d0",
  attempt: 1,
  stage: 0,
  at: AT,
  by: "controller",
  verdict: "hold",
  cause: "baking",
  action: "none",
  forced: false,
  because: ROLLOUT_FACTS.because,
  guardrails: [GUARDRAIL],
  bakedSeconds: 150,
  counts: COUNTS,
  nextStep: NEXT_STEP,
  revision: null,
  engine: "node 22.12.0, v8 12.4",
};

export const DECISION_RECORD = {
  ...DECISION,
  inputs: { kind: "analysis", rollout: ROLLOUT_FACTS, flag: { killed: false, configurationVersion: 12 }, cells: [] },
};

export const DECISION_DOCUMENT = { ...DECISION_RECORD, evidence: "whole" };

export const ROLLOUT_CHANGE = {
  rollout: { ...ROLLOUT, state: "rolled_back", percent: 0, endedAt: AT, because: "on-call rolled back from 5 %." },
  decision: {
    ...DECISION,
    id: "ro-3f9c21ab77d0.5",
    by: "on-call",
    verdict: null,
    cause: null,
    action: "rollback",
    because: "on-call rolled back from 5 %.",
    guardrails: [],
    nextStep: { step: "none", notBefore: null, waitsFor: [] },
    revision: 43,
  },
  position: { epoch: RECEIPT.epoch, revision: 43 },
  receipt: { ...RECEIPT, revision: 43 },
};

export const ROLLOUT_REPORT = {
  rollout: ROLLOUT,
  generatedAt: AT,
  stages: [
    {
      attempt: 1,
      stage: 0,
      percent: 5,
      startedAt: "2026-11-24T13:03:00.000Z",
      endedAt: null,
      outcome: null,
      bakedSeconds: 150,
      counts: COUNTS,
      guardrails: [GUARDRAIL],
      signatures: [],
    },
  ],
  incidents: [],
  decisions: [DECISION],
  omittedDecisionCount: 0,
};
