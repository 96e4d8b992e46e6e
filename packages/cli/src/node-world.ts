import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createNewFile } from "./new-file.ts";
import type { Progress } from "./output/progress.ts";
import type { Screen, World } from "./world.ts";

/** The world as it is. Prompts and bars are loaded when the first one is needed: most commands need none. */
export function createNodeWorld(): World {
  const { stdin, stdout, stderr } = process;
  return {
    env: process.env,
    stdout: screenOf(stdout),
    stderr: screenOf(stderr),
    // Questions are asked on stderr, so that an answer can be piped on while a person types.
    isInteractive: stdin.isTTY === true && stderr.isTTY === true,
    readFile(path) {
      try {
        return readFileSync(path === "-" ? stdin.fd : path, "utf8");
      } catch (error) {
        if (isMissing(error)) return undefined;
        // A folder is opened like a file, and the error of reading from it has no path.
        throw error instanceof Error ? Object.assign(error, { path }) : error;
      }
    },
    writeFile: (path, text) => writeFileSync(path, text),
    newFile: (path, { replace }) => createNewFile(path, { replace, uniqueKey: randomUUID() }),
    fetch: (url, init) => fetch(url, init),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    monotonic: () => performance.now(),
    now: () => Date.now(),
    random: () => Math.random(),
    engine: `node ${process.versions.node}, v8 ${process.versions.v8}`,
    uniqueKey: () => randomUUID(),
    async ask(message, { placeholder }) {
      const { isCancel, text } = await import("@clack/prompts");
      const validate = (value: string | undefined) => (value?.trim() ? undefined : "Say why, in a few words.");
      const answer = await text({ message, placeholder, validate, output: stderr, withGuide: false });
      return isCancel(answer) ? undefined : answer;
    },
    async confirm(message) {
      const { confirm } = await import("@clack/prompts");
      return (await confirm({ message, initialValue: false, output: stderr, withGuide: false })) === true;
    },
    progress: createProgress,
  };
}

function screenOf(stream: NodeJS.WriteStream): Screen {
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY === true,
    // Asked each time: a window can be resized while somebody watches.
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || 24;
    },
  };
}

/** Redraws in place on stderr. The library comes a moment later than the first update, so the latest one is kept for it. */
function createProgress(total: number, whenLeft: string): Progress {
  type Bar = ReturnType<typeof import("@clack/prompts").progress>;
  let bar: Bar | undefined;
  let drawn = 0;
  let latest = { done: 0, message: "" };
  let isOver = false;
  const draw = (): void => {
    if (!bar) return;
    bar.advance(latest.done - drawn, latest.message);
    drawn = latest.done;
  };
  void import("@clack/prompts").then(({ progress }) => {
    if (isOver) return;
    bar = progress({
      max: total,
      size: 30,
      style: "block",
      output: process.stderr,
      withGuide: false,
      cancelMessage: whenLeft,
    });
    bar.start(latest.message);
    draw();
  });
  return {
    update(done, message) {
      latest = { done, message };
      draw();
    },
    end() {
      isOver = true;
      bar?.clear();
    },
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
