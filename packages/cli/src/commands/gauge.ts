import { gaugeValue } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { parseMetric, parseNumber } from "../arguments.ts";
import { formatFigure } from "../output/words.ts";
import { paths } from "../paths.ts";
import type { Session } from "../session.ts";

export function addGaugeCommands(program: Command, action: Action): void {
  const gauge = program
    .command("gauge")
    .summary("figures from outside, for guardrails")
    .description(
      "Gauges: figures from outside that guardrails of a plan can limit, like a Lighthouse score or revenue.",
    );

  gauge
    .command("post")
    .summary("say what a figure is now")
    .description(
      "Say what a figure is now. A guardrail takes the latest, as long as it is not older than its maxAgeSeconds.",
    )
    .argument("<metric>", "its name, as in the plan", parseMetric)
    .argument("<value>", "a number; a negative one stands behind --", parseNumber)
    .action(action(postGauge));
}

async function postGauge(session: Session, metric: string, value: number): Promise<void> {
  const { client, output } = session;
  const environment = session.environment();
  const { value: posted } = await client.write({
    method: "POST",
    path: paths.gauges(environment),
    body: { metric, value },
    schema: gaugeValue,
  });
  output.show(
    posted,
    (gauge, theme) =>
      `${theme.paint("good", "✓")} ${theme.paint("strong", gauge.metric)} is ${formatFigure(gauge.value)} in ${gauge.environment}.`,
  );
}
