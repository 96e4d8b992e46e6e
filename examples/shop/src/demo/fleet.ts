import { createFlags, type Flags } from "@bunting/sdk";
import type { Hono } from "hono";
import { type AddressBook, createShop } from "../shop.ts";
import type { FlagServer } from "./server.ts";

/** Many instances of the shop. Each has an SDK and a connection of its own, as if it ran on a machine of its own. */
export interface Fleet {
  readonly shops: readonly Hono[];
  readonly flags: readonly Flags[];
  /** Instances that are connected and up to date. */
  live(): number;
  /** Instances that hear of changes, by stream or by asking. */
  back(): number;
  close(): Promise<void>;
}

export function startFleet(server: FlagServer, size: number, addresses: AddressBook): Fleet {
  // Each SDK sends its last counts before the process ends. So many in one process are no leak here.
  process.setMaxListeners(size + 10);
  const flags = Array.from({ length: size }, (_, index) =>
    createFlags({
      url: server.url,
      token: server.sdkToken,
      instance: `shop-${String(index + 1).padStart(3, "0")}`,
      cacheFile: false, // They share this machine; a fleet would not share a disk.
    }),
  );
  return {
    flags,
    shops: flags.map((each) => shopOf(each, addresses)),
    live: () => flags.filter((instance) => instance.status().state === "live").length,
    back: () => flags.filter((instance) => instance.status().transport !== "none").length,
    close: async () => void (await Promise.all(flags.map((instance) => instance.close()))),
  };
}

/** A request that fails is answered with 500 and no word on the terminal, where a story is being told. */
function shopOf(flags: Flags, addresses: AddressBook): Hono {
  const shop = createShop(flags, addresses);
  shop.onError(() => new Response("This did not work.", { status: 500 }));
  return shop;
}
