import { expect, it } from "vitest";
import { files, read, withoutComments } from "./repository.ts";

/*
 * A specification is what the tests show. A clause stands in docs/spec at the beginning of a list entry (`- **EV-7** …`) or
 * of a table row (`| ST-7 | …`); a test that shows it quotes the id in its title or in the data that the title is made of.
 */

/** Clauses without a test, each with the reason. In the specification they are marked `(open)`. */
const open: Readonly<Record<string, string>> = {};

interface Clause {
  readonly id: string;
  readonly file: string;
  readonly text: string;
}

const specifications = files(".md").filter((file) => file.startsWith("docs/spec/"));
const clauses = specifications.flatMap(clausesOf);
const ids = new Set(clauses.map(({ id }) => id));
const prefixes = new Set([...ids].map((id) => id.slice(0, 2)));
const quoted = quotedIds();

it("every specification has clauses, with a prefix of its own", () => {
  const owners = new Map<string, Set<string>>();
  for (const { id, file } of clauses) {
    const prefix = id.slice(0, 2);
    owners.set(prefix, (owners.get(prefix) ?? new Set()).add(file));
  }
  expect([...owners].filter(([, owner]) => owner.size > 1)).toEqual([]);
  expect(specifications.filter((file) => !clauses.some((clause) => clause.file === file))).toEqual([]);
});

it("no clause number is used twice", () => {
  const seen = new Set<string>();
  expect(clauses.filter(({ id }) => seen.size === seen.add(id).size).map(({ id }) => id)).toEqual([]);
});

it("every clause is quoted by a test, or is open with a reason", () => {
  const untested = clauses.filter(({ id }) => !quoted.has(id) && !Object.hasOwn(open, id));
  expect(untested.map(({ id, file }) => `${id} of ${file} is in no test title`)).toEqual([]);
});

it("every open clause is marked so in the specification, and no other is", () => {
  const marked = clauses.filter(({ text }) => /[(*]open[)*]/.test(text)).map(({ id }) => id);
  expect(marked.sort()).toEqual(Object.keys(open).sort());
});

it("no open clause has a test: it would not be open", () => {
  expect(Object.keys(open).filter((id) => quoted.has(id))).toEqual([]);
});

it("every clause that a test or a document names exists", () => {
  const named = new Map([...quoted, ...idsInDocuments()]);
  const strangers = [...named].filter(([id]) => prefixes.has(id.slice(0, 2)) && !ids.has(id));
  expect(strangers.map(([id, file]) => `${file} names ${id}`)).toEqual([]);
});

function clausesOf(file: string): readonly Clause[] {
  const starts = /^(?:- \*\*|\| )([A-Z]{2}-\d+)(?:\*\*| \|)/gm;
  const source = read(file);
  const found = [...source.matchAll(starts)];
  return found.map((match, index) => {
    const text = source.slice(match.index, found[index + 1]?.index ?? source.length).split("\n\n")[0] ?? "";
    return { id: match[1] ?? "", file, text };
  });
}

/** Ids within string literals of tests and of the vectors tests read, with one file that holds them. */
function quotedIds(): ReadonlyMap<string, string> {
  const sources = files(".test.ts", ".ts", ".json")
    .filter((file) => file.endsWith(".test.ts") || (file.startsWith("test/") && !file.startsWith("test/architecture/")))
    .filter((file) => !file.endsWith("package.json"));
  return new Map(
    sources.flatMap((file) =>
      [...withoutComments(read(file)).matchAll(/(["'`])(?:(?!\1)[^\n\\]|\\.)*\1/g)].flatMap(([literal]) =>
        idsIn(literal).map((id) => [id, file] as const),
      ),
    ),
  );
}

function idsInDocuments(): readonly (readonly [string, string])[] {
  return files(".md").flatMap((file) => idsIn(read(file)).map((id) => [id, file] as const));
}

/** `ST-7`, and all of `ST-7..9` and `ST-7 to ST-9`. */
function idsIn(text: string): readonly string[] {
  return [...text.matchAll(/\b([A-Z]{2})-(\d+)(?:(?: to |\.\.|–)(?:\1-)?(\d+))?\b/g)].flatMap(
    ([, prefix, first, last]) => {
      const from = Number(first);
      const to = last === undefined ? from : Number(last);
      return Array.from({ length: Math.max(1, to - from + 1) }, (_, index) => `${prefix}-${from + index}`);
    },
  );
}
