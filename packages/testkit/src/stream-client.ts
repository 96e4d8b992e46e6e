import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Problem, ServerMessage } from "@bunting/contracts";
import { SUBPROTOCOL } from "@bunting/contracts/literals";
import { WebSocket } from "ws";
import { ModelClient } from "./model-client.ts";

export interface StreamClientOptions {
  /** `http://127.0.0.1:4242` */
  readonly url: string;
  readonly token: string;
  /** Continues what this model knows: position and resume token. @default a new model */
  readonly model?: ModelClient;
  /** Further or other parameters of the query; null leaves one out. */
  readonly query?: Readonly<Record<string, string | null>>;
  /** Further headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Offers permessage-deflate. @default false */
  readonly deflate?: boolean;
  /** Acks whatever moves the position, held for a moment as the protocol has it. @default true */
  readonly acks?: boolean;
}

/** Between one and two times what a server with few clients asks for. */
const ACK_HOLD_MS = 30;

type MessageOf<Type extends ServerMessage["type"]> = Extract<ServerMessage, { type: Type }>;

/** A client of the stream on a real socket, its answers given by the model. */
export interface StreamClient {
  readonly model: ModelClient;
  /** Everything received, in order. */
  readonly messages: readonly ServerMessage[];
  /** The texts they came in. */
  readonly texts: readonly string[];
  readonly websocket: WebSocket;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** The first message of this type that fits and was not returned before; waits for it if need be. */
  next<Type extends ServerMessage["type"]>(
    type: Type,
    fits?: (message: MessageOf<Type>) => boolean,
  ): Promise<MessageOf<Type>>;
  /** Resolves when the model stands at the revision. */
  reaches(revision: number): Promise<void>;
  send(message: unknown): void;
  /** Stops reading from the socket, as a suspended process would. */
  pause(): void;
  resume(): void;
  /** Closes with 1000 and waits until it is closed. */
  close(): Promise<void>;
  /** Drops the connection without a word, and waits until that is so. */
  drop(): Promise<void>;
}

/** The server answered the upgrade with an ordinary response. */
export class UpgradeRefused extends Error {
  readonly status: number;
  readonly problem: Problem | null;
  readonly headers: IncomingMessage["headers"];

  constructor(status: number, problem: Problem | null, headers: IncomingMessage["headers"]) {
    super(`The upgrade was refused with ${status} ${problem?.code ?? ""}.`);
    this.status = status;
    this.problem = problem;
    this.headers = headers;
  }
}

/** Resolves when the welcome is there; rejects with {@link UpgradeRefused}. */
export async function openStreamClient(options: StreamClientOptions): Promise<StreamClient> {
  const { model = new ModelClient(), deflate = false, acks = true } = options;
  const websocket = new WebSocket(streamUrl(options, model), [SUBPROTOCOL], {
    perMessageDeflate: deflate,
    headers: { Authorization: `Bearer ${options.token}`, ...options.headers },
  });
  const messages: ServerMessage[] = [];
  const texts: string[] = [];
  const returned = new Set<ServerMessage>();
  const listeners = new Set<() => void>();
  const notify = (): void => {
    for (const listener of listeners) listener();
  };
  let held: NodeJS.Timeout | undefined;
  let ended: { readonly code: number; readonly reason: string } | null = null;

  const closed = new Promise<{ readonly code: number; readonly reason: string }>((resolve) => {
    websocket.on("close", (code, reason) => {
      clearTimeout(held);
      ended = { code, reason: reason.toString() };
      resolve(ended);
      notify();
    });
  });
  const send = (message: unknown): void => {
    if (websocket.readyState === WebSocket.OPEN) {
      websocket.send(typeof message === "string" ? message : JSON.stringify(message), { compress: false });
    }
  };
  const ackSoon = (): void => {
    held ??= setTimeout(() => {
      held = undefined;
      send(model.ack(ACK_HOLD_MS));
    }, ACK_HOLD_MS);
  };
  model.connect();
  websocket.on("message", (data) => {
    const text = (data as Buffer).toString("utf8");
    const message = JSON.parse(text) as ServerMessage;
    texts.push(text);
    messages.push(message);
    for (const reply of model.receive(message)) send(reply);
    if (acks && model.state && model.state.revision > model.acknowledged) ackSoon();
    notify();
  });

  const until = <Answer>(probe: () => Answer | undefined, what: () => string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const answer = probe();
        if (answer !== undefined) resolve(answer);
        else if (ended) reject(new Error(`The stream ended with ${ended.code} ${ended.reason} before ${what()}.`));
        else return;
        listeners.delete(look);
      };
      listeners.add(look);
      look();
    });
  const socket = (): Socket => (websocket as unknown as { readonly _socket: Socket })._socket;

  const client: StreamClient = {
    model,
    messages,
    texts,
    websocket,
    closed,
    async next(type, fits = () => true) {
      type Wanted = MessageOf<typeof type>;
      const found = await until(
        () =>
          messages.find((message) => message.type === type && !returned.has(message) && fits(message as Wanted)) as
            | Wanted
            | undefined,
        () => `a ${type} came`,
      );
      returned.add(found);
      return found;
    },
    reaches: (revision) =>
      until(
        () => ((model.state?.revision ?? -1) >= revision ? true : undefined),
        () => `revision ${revision} was reached (stood at ${model.state?.revision})`,
      ).then(() => undefined),
    send,
    pause: () => void socket().pause(),
    resume: () => void socket().resume(),
    async close() {
      websocket.close(1000);
      await closed;
    },
    async drop() {
      websocket.terminate();
      await closed;
    },
  };
  await opened(websocket);
  await client.next("welcome");
  return client;
}

function streamUrl({ url, query = {} }: StreamClientOptions, model: ModelClient): string {
  const { position, resume } = model;
  const parameters = {
    ...(position && { epoch: position.epoch, revision: String(position.revision) }),
    ...(resume !== null && { resume }),
    ...query,
  };
  const target = new URL("/sdk/v1/stream", url.replace(/^http/, "ws"));
  for (const [name, value] of Object.entries(parameters)) if (value !== null) target.searchParams.set(name, value);
  return target.href;
}

async function opened(websocket: WebSocket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    websocket.once("open", resolve);
    websocket.on("error", reject);
    websocket.once("unexpected-response", (_request, response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("end", () =>
        reject(new UpgradeRefused(response.statusCode ?? 0, parseProblem(body), response.headers)),
      );
    });
  });
}

function parseProblem(body: string): Problem | null {
  try {
    return JSON.parse(body) as Problem;
  } catch {
    return null;
  }
}
