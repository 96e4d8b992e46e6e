import type { z } from "zod";

/** What is wrong with one field, and where it stands in the document. */
interface FieldError {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** What a schema has against a document, in words about fields. An unknown field has its own place; a union speaks of the alternative that was meant. */
export function fieldErrors(issue: z.core.$ZodIssue, above: readonly PropertyKey[] = []): readonly FieldError[] {
  const path = [...above, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], message: "This field is not known here." }));
  }
  if (issue.code === "invalid_union") {
    const closest = closestBranch(issue.errors);
    if (closest) return closest.flatMap((inner) => fieldErrors(inner, path));
  }
  if (issue.code === "invalid_key" || issue.code === "invalid_element") {
    return [{ path, message: issue.issues[0]?.message ?? issue.message }];
  }
  return [{ path, message: issue.message }];
}

/**
 * Of the alternatives of a union, the one the caller most likely meant: the one whose first flaw lies deepest, and among
 * equals the one with the fewest flaws.
 */
function closestBranch(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined {
  const depth = (issues: readonly z.core.$ZodIssue[]): number => Math.max(0, ...issues.map(({ path }) => path.length));
  return [...branches]
    .filter((issues) => issues.length > 0)
    .sort((one, other) => depth(other) - depth(one) || one.length - other.length)[0];
}
