import { createHash } from "node:crypto";

/** A folder in memory that fits the SDK's Files port. Everything answers at once, inside the call. */
export interface MemoryFiles {
  readonly contents: Map<string, string>;
  /** Set to an error's name: every write fails with it. */
  failure: string | undefined;
  readonly writes: number;
  readonly cacheFolder: string | null;
  readNow(path: string): string | null;
  read(path: string, done: (text: string | null, error?: string) => void): void;
  stamp(path: string, done: (stamp: string | null) => void): void;
  replace(path: string, text: string, done: (error?: string) => void): void;
  digest(text: string): string;
}

export function createMemoryFiles(): MemoryFiles {
  const contents = new Map<string, string>();
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
  let writes = 0;
  const files: MemoryFiles = {
    contents,
    failure: undefined,
    cacheFolder: "/cache",
    get writes() {
      return writes;
    },
    readNow: (path) => contents.get(path) ?? null,
    read: (path, done) => done(contents.get(path) ?? null),
    stamp(path, done) {
      const text = contents.get(path);
      done(text === undefined ? null : digest(text));
    },
    replace(path, text, done) {
      writes += 1;
      if (files.failure !== undefined) return done(files.failure);
      contents.set(path, text);
      done();
    },
    digest,
  };
  return files;
}
