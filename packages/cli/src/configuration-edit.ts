import {
  type Condition,
  type Configuration,
  type Flag,
  type Json,
  type Rule,
  type RuleId,
  type Serve,
  type Split,
  toBuckets,
  type VariantKey,
} from "@bunting/contracts";
import type { Assignment } from "./arguments.ts";

/** What `flag set` was asked to change. */
export interface ConfigurationEdit {
  readonly on?: number;
  readonly split?: Readonly<Record<string, number>>;
  readonly variant?: string;
  /** The rule that `on`, `split`, `variant` and `when` are about, instead of the fallthrough. */
  readonly rule?: string;
  readonly when?: readonly Condition[];
  readonly removeRule?: readonly string[];
  readonly enable?: boolean;
  readonly disable?: boolean;
  readonly pin?: readonly Assignment[];
  readonly unpin?: readonly string[];
  readonly offVariant?: string;
  readonly bucketBy?: readonly string[];
}

export type Patch = Readonly<Record<string, Json>>;
export type PatchResult =
  | { readonly ok: true; readonly patch: Patch }
  | { readonly ok: false; readonly detail: string };

/** The merge patch that makes the edit, given what is there. Refuses only what cannot be written as a patch. */
export function configurationPatch(
  edit: ConfigurationEdit,
  flag: Pick<Flag, "key" | "type" | "variants">,
  current: Configuration,
): PatchResult {
  const serve = serveOf(edit, flag);
  if (serve && "refused" in serve) return { ok: false, detail: serve.refused };
  if (edit.enable && edit.disable) return { ok: false, detail: "--enable and --disable contradict each other." };
  if (edit.when !== undefined && edit.rule === undefined) return { ok: false, detail: "--when needs --rule <id>." };
  const rules = rulesOf(edit, serve, current);
  if (rules && "refused" in rules) return { ok: false, detail: rules.refused };

  const pins = pinsOf(edit, current);
  const patch: Record<string, unknown> = {
    ...((edit.enable || edit.disable) && { enabled: edit.enable === true }),
    ...(edit.offVariant !== undefined && { offVariant: edit.offVariant }),
    ...(edit.bucketBy !== undefined && { bucketBy: edit.bucketBy }),
    ...(pins !== undefined && { pins }),
    ...(rules !== undefined && { rules }),
    ...(serve !== undefined && edit.rule === undefined && { fallthrough: replacing(current.fallthrough, serve) }),
  };
  if (Object.keys(patch).length === 0) return { ok: false, detail: "Say what to change, for instance --on 25." };
  return { ok: true, patch: patch as Patch };
}

/** A merge patch adds to a split that is there, so variants that are not named any more are taken out by null. */
function replacing(current: Serve, serve: Serve): Json {
  if (!("split" in serve && "split" in current)) return serve;
  const gone = Object.keys(current.split).filter((variant) => !Object.hasOwn(serve.split, variant));
  return { split: { ...serve.split, ...Object.fromEntries(gone.map((variant) => [variant, null])) } };
}

type Refused = { readonly refused: string };

function serveOf(edit: ConfigurationEdit, flag: Pick<Flag, "key" | "type" | "variants">): Serve | Refused | undefined {
  const given = [edit.on, edit.split, edit.variant].filter((value) => value !== undefined);
  if (given.length > 1) return { refused: "Give one of --on, --split and --variant." };
  if (edit.variant !== undefined) return { variant: edit.variant as VariantKey };
  if (edit.split !== undefined) return { split: edit.split as Split };
  if (edit.on === undefined) return undefined;
  const variants = Object.keys(flag.variants);
  if (flag.type !== "boolean" || !variants.includes("on") || !variants.includes("off")) {
    return {
      refused: `--on is for flags with the variants on and off. ${flag.key} has ${variants.join(", ")}: use --split or --variant.`,
    };
  }
  return { split: { on: edit.on, off: complement(edit.on) } as Split };
}

/** Counted in buckets, because 100 - 33.3 is 66.7 only on paper. More than three decimals are left for the server to refuse. */
function complement(percent: number): number {
  const buckets = toBuckets(percent);
  return Number.isInteger(buckets) ? (toBuckets(100) - buckets) / toBuckets(1) : 100 - percent;
}

/** A merge patch replaces lists as a whole, so the rules that stay are sent along; `If-Match` keeps that safe. */
function rulesOf(
  edit: ConfigurationEdit,
  serve: Serve | undefined,
  current: Configuration,
): Rule[] | Refused | undefined {
  const removed = edit.removeRule ?? [];
  const known = current.rules.map(({ id }) => String(id));
  const missing = removed.find((id) => !known.includes(id));
  if (missing !== undefined) return { refused: `There is no rule ${missing}.${namesOf(known)}` };
  if (edit.rule === undefined) {
    return removed.length === 0 ? undefined : current.rules.filter(({ id }) => !removed.includes(id));
  }
  const existing = current.rules.find(({ id }) => id === edit.rule);
  const when = edit.when ?? existing?.when;
  const served = serve ?? existing?.serve;
  if (removed.includes(edit.rule)) return { refused: `--rule and --remove-rule both name ${edit.rule}.` };
  if (!when || !served) {
    return {
      refused: `There is no rule ${edit.rule}: a new one needs --when, and one of --on, --split and --variant.${namesOf(known)}`,
    };
  }
  if (edit.when === undefined && serve === undefined)
    return { refused: "--rule needs --when, --on, --split or --variant." };
  const changed: Rule = { id: edit.rule as RuleId, when: [...when], serve: served };
  const rules = existing
    ? current.rules.map((rule) => (rule === existing ? changed : rule))
    : [...current.rules, changed];
  return rules.filter(({ id }) => !removed.includes(id));
}

function namesOf(rules: readonly string[]): string {
  return rules.length === 0 ? "" : ` Rules: ${rules.join(", ")}.`;
}

/** Whole lists of the variants that change. Null takes a variant out of a merge patch. */
function pinsOf(edit: ConfigurationEdit, current: Configuration): Record<string, string[] | null> | undefined {
  if (!edit.pin?.length && !edit.unpin?.length) return undefined;
  const moved = new Set([...(edit.unpin ?? []), ...(edit.pin ?? []).map(({ value }) => value)]);
  const before = new Map(Object.entries(current.pins));
  const after = new Map([...before].map(([variant, keys]) => [variant, keys.filter((key) => !moved.has(key))]));
  for (const { name, value } of edit.pin ?? []) after.set(name, [...(after.get(name) ?? []), value]);
  const changed = [...after].filter(([variant, keys]) => keys.join("\0") !== before.get(variant)?.join("\0"));
  return Object.fromEntries(changed.map(([variant, keys]) => [variant, keys.length === 0 ? null : keys]));
}
