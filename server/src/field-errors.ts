import type { z } from "zod";

/** What is wrong with one field, and where it stands in the document. */
interface FieldError {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** Above this, a document is read no further than to its first flaw. */
const LARGE_CHARACTERS = 16 * 1024;

/** zod keeps it for its own `validate`: tests hold that it does what it says. */
const TO_FIRST_FLAW: z.core.ParseContext<z.core.$ZodIssue> & Pick<z.core.ParseContextInternal, "abortEarly"> = {
  abortEarly: true,
};

/**
 * Reads a JSON document. Of a small one all flaws are named, of a large one the first: a body can hold hundreds of thousands, and
 * collecting them would hold everybody else up for seconds, or overflow the stack. Reading to the first flaw takes six times as
 * long where there is none, so small ones, which most are, are read the plain way.
 *
 * @param length of the document as JSON, in characters or bytes
 */
export function readDocument<Schema extends z.ZodType>(
  schema: Schema,
  document: unknown,
  length: number,
): z.ZodSafeParseResult<z.output<Schema>> {
  return schema.safeParse(document, length > LARGE_CHARACTERS ? TO_FIRST_FLAW : undefined);
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
