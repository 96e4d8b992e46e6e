import { type AttributeCondition, type Segment, segmentPage, segment as segmentSchema } from "@bunting/contracts";
import type { Command } from "commander";
import type { Action } from "../action.ts";
import { collectAttributeConditions, parseKey } from "../arguments.ts";
import { ANY_ANSWER } from "../client.ts";
import { usageFailure } from "../failure.ts";
import { type Column, table } from "../output/table.ts";
import type { Theme } from "../output/theme.ts";
import { conditionInWords, conditionsInWords } from "../output/words.ts";
import { paths } from "../paths.ts";
import { confirmed, readJsonFile, type Session } from "../session.ts";

export function addSegmentCommands(program: Command, action: Action): void {
  const segment = program
    .command("segment")
    .summary("named conditions that rules share")
    .description("Segments: named conditions that rules share, the same in every environment.");

  segment.command("list").description("List segments.").action(action(listSegments));

  segment
    .command("show")
    .description("Show the conditions of a segment.")
    .argument("<segment>", "its key", parseKey)
    .action(action(showSegment));

  segment
    .command("set")
    .summary("create or replace a segment")
    .description("Create a segment, or replace its conditions. Everyone for whom all conditions hold is in it.")
    .argument("<segment>", "its key", parseKey)
    .option("--when <condition>", 'like "email ends_with @example.com"; repeatable', collectAttributeConditions)
    .option("--description <text>", "who is meant")
    .option("--file <path>", "the whole segment as JSON instead, - for standard input")
    .action(action(setSegment));

  segment
    .command("delete")
    .description("Delete a segment that no rule refers to.")
    .argument("<segment>", "its key", parseKey)
    .option("-y, --yes", "do not ask for confirmation")
    .action(action(deleteSegment));
}

async function listSegments({ client, output }: Session): Promise<void> {
  const items = await client.list(paths.segments, segmentPage);
  output.show({ items }, ({ items }, theme) =>
    table(items, segmentColumns(theme), theme, "No segments yet: `bunting segment set <key> --when …` makes one."),
  );
}

async function showSegment({ client, output }: Session, key: string): Promise<void> {
  const { value } = await client.get(paths.segment(key), segmentSchema);
  output.show(value, renderSegment);
}

interface SegmentSetOptions {
  readonly when?: readonly AttributeCondition[];
  readonly description?: string;
  readonly file?: string;
}

async function setSegment(session: Session, key: string, options: SegmentSetOptions): Promise<void> {
  const { client, output } = session;
  const existing = await client.find(paths.segment(key), segmentSchema);
  const body = options.file === undefined ? documentOf(options, existing?.value) : readJsonFile(options.file, session);
  const { value } = await client.write({
    method: "PUT",
    path: paths.segment(key),
    body,
    schema: segmentSchema,
    ifMatch: existing?.etag ?? null,
  });
  output.show(
    value,
    (segment, theme) =>
      `${theme.paint("good", "✓")} ${existing ? "Changed" : "Created"}\n${renderSegment(segment, theme)}`,
  );
}

async function deleteSegment(session: Session, key: string, options: { readonly yes?: boolean }): Promise<void> {
  const { client, output } = session;
  const { etag } = await client.get(paths.segment(key), segmentSchema);
  await confirmed(options.yes, `Delete segment ${key}?`, session);
  await client.write({ method: "DELETE", path: paths.segment(key), schema: ANY_ANSWER, ifMatch: etag });
  output.show({ deleted: key }, ({ deleted }, theme) => `${theme.paint("good", "✓")} Deleted segment ${deleted}.`);
}

/** What is not given stays as it is. */
function documentOf({ when, description }: SegmentSetOptions, existing: Segment | undefined): object {
  const conditions = when ?? existing?.when;
  if (!conditions) throw usageFailure("A new segment needs at least one --when.");
  return { description: description ?? existing?.description ?? "", when: conditions };
}

function segmentColumns(theme: Theme): Column<Segment>[] {
  return [
    { title: "segment", cell: ({ key }) => theme.paint("strong", key) },
    { title: "who", cell: ({ when }) => conditionsInWords(when) },
    { title: "description", cell: ({ description }) => description },
  ];
}

function renderSegment({ key, description, when, version }: Segment, theme: Theme): string {
  return [
    `${theme.paint("strong", key)}  ${theme.paint("faint", `version ${version}`)}`,
    ...(description ? [`  ${description}`] : []),
    ...when.map((condition, index) => `  ${index === 0 ? "if " : "and"} ${conditionInWords(condition)}`),
  ].join("\n");
}
