/** What the blocks of the documents take for granted: the names of an application around them, as global declarations. */
export const SURROUNDINGS = `
declare const flags: import("@bunting/sdk").Flags;
declare const user: import("@bunting/sdk").User;

declare const Hono: typeof import("hono").Hono;
declare const express: typeof import("express");
declare const fastify: typeof import("fastify").fastify;
declare const createServer: typeof import("node:http").createServer;
type IncomingMessage = import("node:http").IncomingMessage;
type ServerResponse = import("node:http").ServerResponse;
declare const createTestFlags: typeof import("@bunting/sdk/testing").createTestFlags;
declare const app: import("hono").Hono;
declare function userOf(request: object): import("@bunting/sdk").User;

declare const id: string;
declare const cache: { get(id: string): Promise<string> };
declare const db: { get(id: string): Promise<string> };
declare const order: object;
declare function pay(order: object): Promise<void>;
declare function payAsBefore(order: object): Promise<void>;
declare class CardDeclined extends Error {}
declare const job: { readonly id: string; readonly customer: string };
declare const queue: {
  readonly length: number;
  add(job: object, options: object): void;
  once(event: string, listener: (error: Error) => void): void;
};
`;
