import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import path from "node:path";

/** A file under way. It appears under its name only when all of it is on the disk. */
export interface NewFile {
  write(bytes: Uint8Array): void;
  /** Gives it its name. Throws EEXIST if somebody else took it meanwhile, unless it may be replaced. */
  keep(): void;
  /** Takes away what was written. Does nothing to a file that is kept. */
  discard(): void;
}

export interface NewFileOptions {
  /** Whether a file that is there already may be replaced. */
  readonly replace: boolean;
  /** Makes the temporary name beside the target a name of its own. */
  readonly uniqueKey: string;
}

/** Only for this user to read. Throws as the file system does: EEXIST if it is there already and may not be replaced. */
export function createNewFile(target: string, { replace, uniqueKey }: NewFileOptions): NewFile {
  if (!replace && existsSync(target)) throw taken(target);
  const temporary = `${target}.${uniqueKey}.part`;
  const descriptor = openSync(temporary, "wx", 0o600);
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(descriptor);
    isOpen = false;
  };
  return {
    write(bytes) {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(descriptor, bytes, written, bytes.length - written);
      }
    },
    keep() {
      fsyncSync(descriptor);
      close();
      if (replace) renameSync(temporary, target);
      else nameOnce(temporary, target);
      syncFolder(path.dirname(target));
    },
    discard() {
      close();
      rmSync(temporary, { force: true });
    },
  };
}

/** A link is refused where the name is taken; a rename would replace. */
function nameOnce(temporary: string, target: string): void {
  try {
    linkSync(temporary, target);
    rmSync(temporary);
  } catch (error) {
    if (existsSync(target)) throw taken(target);
    if (!isWithoutLinks(error)) throw error;
    renameSync(temporary, target);
  }
}

/** FAT and some network file systems have no links. */
function isWithoutLinks(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code);
}

function taken(target: string): Error {
  return Object.assign(new Error(`EEXIST: file already exists, '${target}'`), { code: "EEXIST" });
}

/** Makes the name itself durable. Windows cannot, and does not need it. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
