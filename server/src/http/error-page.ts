import { ERRORS, type ErrorDefinition } from "@bunting/contracts";

/**
 * The catalogue as a page for people: the `type` of every problem document leads to its code here, so the code that was asked
 * for stands out. It needs no script.
 */
export function errorPage(): string {
  const codes = Object.entries<ErrorDefinition>(ERRORS);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Bunting errors</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/errors.css">
</head>
<body>
<main>
<h1>Errors</h1>
<p>Every refusal is a problem document (RFC 9457) with one of these codes as <code>code</code>, a sentence about the case as
<code>detail</code>, and where a field is at fault its path in <code>errors</code>. On the stream the codes stand in
<code>error</code> messages and in close reasons. A code never changes its meaning.</p>
<nav aria-label="Codes">${codes.map(([code]) => `<a href="#${code}">${code}</a>`).join("\n")}</nav>
${codes.map(section).join("\n")}
</main>
</body>
</html>
`;
}

/** Readable by day and by night; `:target` is the code that the address names. */
export const ERROR_PAGE_STYLE = `:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 1rem; }
nav { columns: 14rem; font-family: ui-monospace, monospace; font-size: 0.875rem; }
nav a { display: block; }
section { padding: 0.25rem 1rem; border-left: 0.25rem solid transparent; }
section:target { border-color: currentColor; background: color-mix(in srgb, currentColor 8%, transparent); }
h2 { font-size: 1.125rem; }
dt { font-weight: 600; }
dd { margin: 0 0 0.5rem; }
`;

function section([code, { status, close, meaning, normal, remedy, retryable }]: [string, ErrorDefinition]): string {
  const facts = [
    ["Status", close === undefined ? `${status}` : `${status}; a stream is closed with ${close}`],
    ["Normal", normal],
    ["What to do", remedy],
    ["The same request again", retryable ? "may succeed later" : "is refused again"],
  ] as const;
  const list = facts.map(([name, text]) => `<dt>${name}</dt><dd>${escape(text)}</dd>`).join("\n");
  return `<section id="${code}">
<h2><a href="#${code}"><code>${code}</code></a></h2>
<p>${escape(meaning)}</p>
<dl>
${list}
</dl>
</section>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
