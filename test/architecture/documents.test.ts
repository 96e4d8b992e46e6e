import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { files, read, root, topLevelFolders } from "./repository.ts";

const documents = files(".md");
const folders = topLevelFolders();
const exists = (file: string): boolean => existsSync(path.join(root, file));

describe.each(documents)("%s", (document) => {
  const text = read(document);
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, "");
  const here = path.posix.dirname(document);

  it("links only to what is there", () => {
    const links = [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target ?? "");
    const dead = links.filter((link) => {
      if (/^[a-z]+:/.test(link)) return false;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? document : path.posix.join(here, file);
      return !exists(target) || (anchor !== undefined && !anchorsOf(target).has(anchor));
    });
    expect(dead).toEqual([]);
  });

  it("mentions only files and folders that are there", () => {
    const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span]) => span ?? "");
    const missing = spans.filter(
      (span) => isPath(span) && !exists(solidPart(span)) && !exists(path.posix.join(here, span)),
    );
    expect(missing).toEqual([]);
  });
});

it("every document that a comment points to is there", () => {
  const dead = files(".ts", ".mjs").flatMap((file) =>
    [...read(file).matchAll(/\bdocs\/[\w/.-]+\.md\b/g)]
      .filter(([mention]) => !exists(mention))
      .map(([mention]) => `${file}: ${mention}`),
  );
  expect(dead).toEqual([]);
});

it("every top-level folder is on README's map", () => {
  const map = read("README.md");
  expect(folders.filter((folder) => !map.includes(`\`${folder}\``) && !map.includes(`\`${folder}/`))).toEqual([]);
});

it.each([
  ["README.md", 150],
  ["ARCHITECTURE.md", 200],
])("%s is read in minutes: at most %i lines", (document, most) => {
  expect(read(document).trimEnd().split("\n").length).toBeLessThanOrEqual(most);
});

it("every decision is short, numbered in order, and says its state and how it is enforced", () => {
  const decisions = documents.filter((file) => /^docs\/decisions\/\d{4}-[a-z0-9-]+\.md$/.test(file));
  const faults = decisions.flatMap((file) => {
    const text = read(file);
    const number = Number(path.basename(file).slice(0, 4));
    return [
      ...(text.split("\n").length > 61 ? [`${file}: more than 60 lines`] : []),
      ...(text.startsWith(`# ${number}. `) ? [] : [`${file}: does not begin with "# ${number}. "`]),
      ...(/^State: (proposed|accepted|superseded by \d{4})/m.test(text) ? [] : [`${file}: no state`]),
      ...["Context", "Decision", "Consequences", "Enforced by"]
        .filter((heading) => !text.includes(`\n## ${heading}\n`))
        .map((heading) => `${file}: no "${heading}"`),
    ];
  });
  expect(faults).toEqual([]);
  expect(new Set(decisions.map((file) => path.basename(file).slice(0, 4))).size).toBe(decisions.length);
});

it.each(["README.md", "ARCHITECTURE.md"])("%s names symbols that are in the sources", (document) => {
  const prose = read(document).replaceAll(/^```[\s\S]*?^```/gm, "");
  const symbols = [...prose.matchAll(/`([A-Za-z]\w*)(?:\(\))?`/g)].map(([, name]) => name ?? "").filter(isSymbol);
  const sources = files(".ts", ".mjs")
    .filter((file) => !file.startsWith("test/architecture/"))
    .map(read)
    .join("\n");
  const words = new Set(sources.match(/\w+/g));
  expect([...new Set(symbols)].filter((symbol) => !words.has(symbol))).toEqual([]);
});

/** GitHub's anchors of a document's headings. */
function anchorsOf(document: string): ReadonlySet<string> {
  const headings = [...read(document).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading ?? "");
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\s-]/g, "")
        .replaceAll(/\s/g, "-"),
    ),
  );
}

/** A path from the root: it begins with one of our folders and holds neither blanks nor placeholders. */
function isPath(span: string): boolean {
  const [first = ""] = span.split("/");
  return (
    span.includes("/") &&
    folders.includes(first) &&
    !span.includes("NNNN") &&
    /^[\w./*{},-]+$/.test(span) &&
    !/\/(dist|bundle|data)\b/.test(span)
  );
}

/** Of a pattern, the folder before the first part that is one. */
function solidPart(span: string): string {
  const parts = span.split("/");
  const pattern = parts.findIndex((part) => /[*{]/.test(part));
  return (pattern < 0 ? parts : parts.slice(0, pattern)).join("/");
}

/** camelCase or PascalCase with a second capital, so a name from the code and not a word. */
function isSymbol(word: string): boolean {
  return /[a-z]\w*[A-Z]/.test(word);
}
