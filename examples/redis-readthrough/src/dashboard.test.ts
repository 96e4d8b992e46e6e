import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createMetrics } from "./metrics.ts";

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const dashboard = JSON.parse(readFileSync(new URL("../grafana-dashboard.json", import.meta.url), "utf8")) as Dashboard;
const queries = dashboard.panels.flatMap((panel) => panel.targets.map((target) => target.expr));
const namesIn = (text: string): string[] => text.match(/\bgame_session_\w+/g) ?? [];

it("asks only for metrics that the service has, and shows all but the count of acknowledgements", async () => {
  const { registry } = createMetrics({ replayBacklog: () => 0 });
  const known = (await registry.getMetricsAsJSON()).map((metric) => metric.name);
  expect(new Set(queries.flatMap(namesIn))).toEqual(
    new Set(known.filter((name) => name !== "game_session_acks_total")),
  );
});

it("has the panels that the gates of the rollout are read from", () => {
  const titles = dashboard.panels.map((panel) => panel.title);
  expect(titles).toEqual(
    expect.arrayContaining(["Cache Hit Rate", "Cache Errors", "Hydrate vs prune", "Replay Backlog"]),
  );
});
