import { AsyncLocalStorage } from "node:async_hooks";
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";
import { homedir, hostname } from "node:os";
import path from "node:path";
import { createGunzip } from "node:zlib";
import { WebSocket } from "ws";
import type {
  Cancel,
  Clock,
  Context,
  Files,
  HttpOutcome,
  HttpRequest,
  Platform,
  Random,
  Scheduler,
  Socket,
  SocketListener,
  SocketRequest,
} from "../ports.ts";
import { parseRetryAfter } from "../sources/poll.ts";
import { VERSION } from "../version.ts";

/** The real world, on Node.js. */
export function nodePlatform(): Platform {
  return {
    clock,
    scheduler,
    random,
    network: { openSocket, request },
    files: nodeFiles(process.env),
    environment: process.env,
    createContext,
    beforeExit,
    warn,
    hold,
    sdk: `bunting-node/${VERSION}`,
    instance: `${hostname()
      .replaceAll(/[^\x20-\x7e]/g, "?")
      .slice(0, 50)}:${process.pid}`,
  };
}

const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now() };

const random: Random = { next: () => Math.random(), bytes: (count) => randomBytes(count) };

/** A longer delay makes setTimeout fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const scheduler: Scheduler = {
  after(delayMs, task) {
    let left = delayMs;
    let timer: NodeJS.Timeout;
    const wait = (): void => {
      const part = Math.min(left, LONGEST_TIMER_MS);
      left -= part;
      timer = setTimeout(left > 0 ? wait : task, part);
      timer.unref();
    };
    wait();
    return () => clearTimeout(timer);
  },
};

function createContext<Value>(): Context<Value> {
  const storage = new AsyncLocalStorage<Value>();
  return { run: (value, task) => storage.run(value, task), current: () => storage.getStore() };
}

/** What is to be done before the process exits, as a property of the one listener that does it. */
const TASKS: unique symbol = Symbol.for("bunting.beforeExit");
type ExitListener = (() => void) & { readonly [TASKS]: Set<() => void> };

/**
 * Each task at most once, by one listener for all clients: Node.js takes more than ten for a leak, and says so. It is found
 * among the listeners of the process, so that nothing is kept here, and two copies of this package share it.
 */
function beforeExit(task: () => void): Cancel {
  const listener = process.listeners("beforeExit").find(isExitListener) ?? addExitListener();
  // Of its own, for the same function may be given twice.
  const own = (): void => task();
  listener[TASKS].add(own);
  return () => {
    listener[TASKS].delete(own);
    if (listener[TASKS].size === 0) process.removeListener("beforeExit", listener);
  };
}

function addExitListener(): ExitListener {
  const tasks = new Set<() => void>();
  const perform = (): void => {
    process.removeListener("beforeExit", listener);
    const due = [...tasks];
    tasks.clear();
    for (const task of due) task();
  };
  const listener: ExitListener = Object.assign(perform, { [TASKS]: tasks });
  process.on("beforeExit", listener);
  return listener;
}

function isExitListener(listener: object): listener is ExitListener {
  return TASKS in listener;
}

/** Not `stderr.write`: who redirects the console of an application redirects this too. */
function warn(line: string): void {
  // oxlint-disable-next-line no-console -- the one place where the SDK prints
  console.warn(line);
}

/** One referenced timer is what Node.js keeps a process alive for. */
function hold(): Cancel {
  const timer = setInterval(() => {}, LONGEST_TIMER_MS);
  return () => clearInterval(timer);
}

// --- network

/** How long a peer may take to answer our close. */
const CLOSING_MS = 1_000;

function openSocket(request: SocketRequest, listener: SocketListener): Socket {
  const socket = new WebSocket(request.url, request.protocol, {
    headers: { authorization: `Bearer ${request.token}` },
    followRedirects: false,
    maxPayload: request.maxMessageBytes,
    // Offered so that a server can send its snapshot deflated; nothing we send is.
    perMessageDeflate: { clientNoContextTakeover: true, serverNoContextTakeover: true },
  });
  let ended = false;
  const once = (tell: () => void): void => {
    if (ended) return;
    ended = true;
    tell();
  };
  socket.on("upgrade", (response) => response.socket.unref());
  socket.on("open", () => {
    if (!ended) listener.opened();
  });
  socket.on("message", (data, isBinary) => {
    if (!ended) listener.message(isBinary || !Buffer.isBuffer(data) ? null : data.toString("utf8"));
  });
  socket.on("unexpected-response", (outgoing, response) => {
    const { statusCode = 0, headers } = response;
    once(() => listener.refused(statusCode, parseRetryAfter(headers["retry-after"])));
    outgoing.destroy();
  });
  socket.on("close", (code) => once(() => listener.closed(code)));
  socket.on("error", (error) => {
    // After an error of an open socket comes "close", with the code that says more.
    if (socket.readyState === WebSocket.CONNECTING || !wasOpen(socket)) once(() => listener.failed(errorCode(error)));
  });
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text, { compress: false }, () => {});
    },
    close(code) {
      ended = true;
      socket.close(code);
      const timer = setTimeout(() => socket.terminate(), CLOSING_MS);
      socket.on("close", () => clearTimeout(timer));
      timer.unref();
    },
    destroy() {
      ended = true;
      socket.terminate();
    },
  };
}

/** A protocol is known only after the handshake. */
function wasOpen(socket: WebSocket): boolean {
  return socket.protocol !== "";
}

function request(options: HttpRequest, done: (outcome: HttpOutcome) => void): Cancel {
  let ended = false;
  const finish = (outcome: HttpOutcome): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    outgoing.destroy();
    done(outcome);
  };
  const send = options.url.startsWith("https:") ? requestSecure : requestPlain;
  const outgoing = send(options.url, {
    method: options.method,
    // A connection of its own: a pooled one would outlive close().
    agent: false,
    headers: {
      ...options.headers,
      authorization: `Bearer ${options.token}`,
      accept: "application/json",
      "accept-encoding": "gzip",
      ...(options.body !== undefined && { "content-length": Buffer.byteLength(options.body) }),
    },
  });
  const timer = setTimeout(() => finish({ kind: "failed", code: "ETIMEDOUT" }), options.timeoutMs);
  timer.unref();
  outgoing.on("socket", (socket) => socket.unref());
  outgoing.on("error", (error) => finish({ kind: "failed", code: errorCode(error) }));
  outgoing.on("response", (response) => {
    const compressed = response.headers["content-encoding"] === "gzip";
    const body = compressed ? response.pipe(createGunzip()) : response;
    const chunks: Buffer[] = [];
    let size = 0;
    body.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > options.maxBytes) finish({ kind: "failed", code: "EMSGSIZE" });
      else chunks.push(chunk);
    });
    body.on("error", (error) => finish({ kind: "failed", code: errorCode(error) }));
    response.on("error", (error) => finish({ kind: "failed", code: errorCode(error) }));
    response.on("aborted", () => finish({ kind: "failed", code: "ECONNRESET" }));
    body.on("end", () => {
      const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const);
      const text = Buffer.concat(chunks).toString("utf8");
      finish({ kind: "answered", status: response.statusCode ?? 0, headers: new Map(headers), body: text });
    });
  });
  outgoing.end(options.body);
  return () => {
    ended = true;
    clearTimeout(timer);
    outgoing.destroy();
  };
}

function errorCode(error: unknown): string {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : error instanceof Error ? error.name : "UNKNOWN";
}

// --- files

function nodeFiles(environment: NodeJS.ProcessEnv): Files {
  return {
    cacheFolder: cacheFolder(environment),
    digest: (text) => createHash("sha256").update(text).digest("hex"),
    readNow(file) {
      try {
        return readFileSync(file, "utf8");
      } catch (error) {
        if (isMissing(error)) return null;
        throw error;
      }
    },
    read(file, done) {
      readFile(file, "utf8").then(
        (text) => done(text),
        (error: unknown) => (isMissing(error) ? done(null) : done(null, errorCode(error))),
      );
    },
    stamp(file, done) {
      stat(file, { bigint: true }).then(
        ({ ino, size, mtimeNs, ctimeNs }) => done(`${ino} ${size} ${mtimeNs} ${ctimeNs}`),
        () => done(null),
      );
    },
    replace(file, text, done) {
      replace(file, text).then(
        () => done(),
        (error: unknown) => done(errorCode(error)),
      );
    },
  };
}

function cacheFolder({ XDG_CACHE_HOME }: NodeJS.ProcessEnv): string | null {
  if (XDG_CACHE_HOME !== undefined && path.isAbsolute(XDG_CACHE_HOME)) return XDG_CACHE_HOME;
  const home = homedir();
  return home === "" || home === "/" ? null : path.join(home, ".cache");
}

/** The rename is what makes it whole, the two fsyncs what makes it last. Each writer has a temporary name of its own. */
async function replace(file: string, text: string): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await write(temporary, text);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await sync(folder);
  await sweep(file);
}

/** Nobody writes this long: a temporary file that is older belongs to a process that was killed while it wrote. */
const ABANDONED_MS = 60 * 60_000;

async function sweep(file: string): Promise<void> {
  const folder = path.dirname(file);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${path.basename(file)}.`) || !name.endsWith(".tmp")) continue;
    const found = path.join(folder, name);
    // Another process may sweep at the same moment.
    const age = await stat(found)
      .then(({ mtimeMs }) => Date.now() - mtimeMs)
      .catch(() => 0);
    if (age > ABANDONED_MS) await rm(found, { force: true });
  }
}

async function write(file: string, text: string): Promise<void> {
  const handle = await open(file, "wx", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Windows cannot open folders; there the rename alone has to do. */
async function sync(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isMissing(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOENT" || code === "ENOTDIR";
}
