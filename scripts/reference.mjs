// Writes docs/reference from the sources that are its truth: `npm run reference`. With --check it writes nothing and fails,
// in a sentence, if a page is not what it would write.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createNodeWorld } from "../packages/cli/src/node-world.ts";
import { createProgram } from "../packages/cli/src/program.ts";
import { renderReference } from "../packages/cli/src/reference.ts";
import { ERRORS } from "../packages/contracts/src/errors.ts";
import { FAILURE_CODES, VERSION_ERRORS } from "../packages/versions/src/errors.ts";
import { SETTINGS } from "../server/src/config.ts";

const folder = new URL("../docs/reference/", import.meta.url);
const pages = {
  "errors.md": errorPage(),
  "configuration.md": configurationPage(),
  "version-errors.md": versionErrorPage(),
  "cli.md": renderReference(createProgram(createNodeWorld(), () => {})),
};
const outdated = Object.entries(pages).filter(([name, page]) => current(name) !== page);

if (process.argv.includes("--check")) {
  for (const [name] of outdated)
    console.error(`docs/reference/${name} is out of date: npm run reference writes it anew.`);
  process.exitCode = outdated.length === 0 ? 0 : 1;
} else {
  mkdirSync(folder, { recursive: true });
  for (const [name, page] of outdated) {
    writeFileSync(new URL(name, folder), page);
    console.log(`Wrote ${fileURLToPath(new URL(name, folder))}.`);
  }
  if (outdated.length === 0) console.log("The reference is up to date.");
}

function current(name) {
  try {
    return readFileSync(new URL(name, folder), "utf8");
  } catch {
    return undefined;
  }
}

function errorPage() {
  const codes = Object.entries(ERRORS);
  const rows = codes.map(
    ([code, { status, close, retryable }]) =>
      `| [\`${code}\`](#${code}) | ${status} | ${close ?? ""} | ${retryable ? "yes" : "no"} |`,
  );
  const sections = codes.map(([code, { meaning, normal, remedy }]) =>
    [`## ${code}`, "", meaning, "", `- Normal: ${normal}`, `- Remedy: ${remedy}`, ""].join("\n"),
  );
  return [
    "# Error codes",
    "",
    "Made from `packages/contracts/src/errors.ts` by `npm run reference`: change it there.",
    "",
    "Every refusal is a problem document (RFC 9457) with one of these codes as `code`, a sentence about this case as `detail`, and",
    "where a field is at fault its path in `errors`. On the stream the codes stand in `error` messages and in close reasons. A code",
    "never changes its meaning. *Retry* says whether the same request may succeed later without a change.",
    "",
    "| code | status | close | retry |",
    "|---|---|---|---|",
    ...rows,
    "",
    ...sections,
  ].join("\n");
}

function versionErrorPage() {
  const codes = Object.entries(VERSION_ERRORS);
  const rows = codes.map(([code, { retryable }]) => {
    const kind = FAILURE_CODES.includes(code) ? "failure" : "";
    return `| [\`${code}\`](#${code}) | ${kind} | ${retryable ? "yes" : "no"} |`;
  });
  const sections = codes.map(([code, { meaning, normal, remedy }]) =>
    [`## ${code}`, "", meaning, "", `- Normal: ${normal}`, `- Remedy: ${remedy}`, ""].join("\n"),
  );
  return [
    "# Error codes of versioned modules",
    "",
    "Made from `packages/versions/src/errors.ts` by `npm run reference`: change it there.",
    "",
    "Calls are refused with a `VersionError` that has one of these as `code`. Those marked *failure* also say why a version is out of",
    "service, in `failure` and `rollback` events. *Retry* says whether the same call may succeed later without a change.",
    "",
    "| code | event | retry |",
    "|---|---|---|",
    ...rows,
    "",
    ...sections,
  ].join("\n");
}

function configurationPage() {
  const rows = Object.values(SETTINGS).map(({ variable, default: fallback, meaning, expected }) => {
    const shown = fallback === "" ? "" : `\`${fallback}\``;
    return `| \`${variable}\` | ${shown} | ${meaning} | ${expected} |`;
  });
  return [
    "# Configuration of the server",
    "",
    "Made from `server/src/config.ts` by `npm run reference`: change it there.",
    "",
    "The server is configured by environment variables, read once at the start. A value that makes no sense stops the start with a",
    "sentence that names its variable; a variable that begins with `BUNTING_` and is not known is warned of.",
    "",
    "| variable | default | meaning | expected |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
