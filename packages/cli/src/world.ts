import type { NewFile } from "./new-file.ts";
import type { Progress } from "./output/progress.ts";

/** A stream that people or programs read. */
export interface Screen {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Characters per line; 80 where it cannot be known. */
  readonly columns: number;
  /** Lines that are seen at a time; 24 where it cannot be known. */
  readonly rows: number;
}

/** Everything outside of the command line itself. The real one is in node-world.ts, tests bring their own. */
export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Answers, and nothing else. */
  readonly stdout: Screen;
  /** Messages, questions, progress. */
  readonly stderr: Screen;
  /** Somebody sits there who can answer a question. */
  readonly isInteractive: boolean;
  /** Undefined if there is no such file. Throws for any other reason. `-` is standard input. */
  readFile(path: string): string | undefined;
  writeFile(path: string, text: string): void;
  /** Throws as the file system does: EEXIST if it is there already and may not be replaced. */
  newFile(path: string, options: { readonly replace: boolean }): NewFile;
  fetch(url: string, init: RequestInit & { readonly body: string | null }): Promise<Response>;
  sleep(ms: number): Promise<void>;
  /** Milliseconds that never go back. */
  monotonic(): number;
  /** Unix ms. */
  now(): number;
  /** In [0, 1). */
  random(): number;
  /** Of JavaScript, as decisions are stored with it. */
  readonly engine: string;
  /** A fresh Idempotency-Key. */
  uniqueKey(): string;
  /** Undefined if the person gave up. Only asked where {@link isInteractive}. */
  ask(question: string, options: { readonly placeholder: string }): Promise<string | undefined>;
  confirm(question: string): Promise<boolean>;
  /** A bar that fills up to `total`. Only drawn where stderr is a terminal. `whenLeft` is said to whoever ends it by hand. */
  progress(total: number, whenLeft: string): Progress;
}
