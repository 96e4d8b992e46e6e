import type { Flags } from "@bunting/sdk";
import { Hono } from "hono";

/** Key of the flag that decides which checkout a customer gets. */
export const CHECKOUT_FLAG = "express-checkout";

/** Key of the flag that decides whether an address is looked up, or asked for. */
export const ADDRESS_FLAG = "address-lookup";

const PRODUCTS = [
  { id: "kite", name: "Kite", cents: 2_400 },
  { id: "pennant", name: "Pennant", cents: 1_150 },
  { id: "streamer", name: "Paper streamer", cents: 320 },
] as const;

export interface Receipt {
  readonly order: string;
  readonly checkout: "express" | "classic";
  /** How often the customer had to press a button to get here. */
  readonly steps: number;
  readonly totalCents: number;
  readonly address: string;
}

/** Where customers live, as another service knows it. */
export interface AddressBook {
  lookUp(customer: string): Promise<string>;
}

const ADDRESS_BOOK: AddressBook = { lookUp: (customer) => Promise.resolve(`${customer}, 1 Harbour Street`) };

/** A shop whose checkout is being replaced. Both versions are in production; the flag says who gets which. */
export function createShop(flags: Flags, addresses: AddressBook = ADDRESS_BOOK): Hono {
  const shop = new Hono();
  let orders = 0;

  // While a flag is being rolled out, how a request ended is evidence of every flag that was asked on its way.
  shop.use(flags.outcomes());

  shop.get("/products", (context) => context.json(PRODUCTS));

  shop.post("/customers/:customer/checkout", async (context) => {
    const basket = toBasket(await context.req.json().catch(() => undefined));
    if (!basket) return context.json({ problem: "Send the ids of products as a JSON array." }, 422);
    const customer = context.req.param("customer");
    // One line decides, at the moment it matters. Nothing is awaited and nothing is remembered.
    const express = flags.isEnabled(CHECKOUT_FLAG, { key: customer });
    // Chooses, calls, takes the time and counts a success or an error of what was chosen. What it throws is thrown.
    const address = await flags.run(
      ADDRESS_FLAG,
      { key: customer },
      { on: () => addresses.lookUp(customer), off: () => Promise.resolve(askFor(customer)) },
    );
    orders += 1;
    const sold = express ? expressCheckout(basket) : classicCheckout(basket);
    const receipt: Receipt = { order: `o-${orders}`, ...sold, address };
    return context.json(receipt, 201);
  });

  return shop;
}

type Product = (typeof PRODUCTS)[number];
type CheckedOut = Omit<Receipt, "order" | "address">;

function classicCheckout(basket: readonly Product[]): CheckedOut {
  return { checkout: "classic", steps: 5, totalCents: total(basket) };
}

function expressCheckout(basket: readonly Product[]): CheckedOut {
  return { checkout: "express", steps: 1, totalCents: total(basket) };
}

/** A form to fill in, which customers of this shop always do. */
function askFor(customer: string): string {
  return `${customer}, by hand`;
}

function total(basket: readonly Product[]): number {
  return basket.reduce((cents, product) => cents + product.cents, 0);
}

function toBasket(ids: unknown): Product[] | undefined {
  if (!Array.isArray(ids) || ids.length === 0) return undefined;
  const basket = ids.map((id) => PRODUCTS.find((product) => product.id === id));
  return basket.every((product) => product !== undefined) ? basket : undefined;
}
