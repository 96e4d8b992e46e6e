import { createTestFlags } from "@bunting/sdk/testing";
import { describe, expect, it } from "vitest";
import { ADDRESS_FLAG, CHECKOUT_FLAG, createShop } from "./shop.ts";

const basket = '["kite","pennant","pennant"]';

describe("the checkout", () => {
  it("is the one that the flag says, at the moment of the request", async () => {
    const flags = createTestFlags({ [CHECKOUT_FLAG]: true });
    const shop = createShop(flags);
    const checkout = async () => {
      const answer = await shop.request("/customers/ada/checkout", { method: "POST", body: basket });
      return { status: answer.status, receipt: await answer.json() };
    };
    expect(await checkout()).toMatchObject({
      status: 201,
      receipt: { checkout: "express", steps: 1, totalCents: 4_700 },
    });
    flags.set(CHECKOUT_FLAG, false);
    expect(await checkout()).toMatchObject({
      status: 201,
      receipt: { checkout: "classic", steps: 5, totalCents: 4_700 },
    });
  });

  it("is the classic one where nobody knows the flag", async () => {
    const answer = await createShop(createTestFlags()).request("/customers/ada/checkout", {
      method: "POST",
      body: basket,
    });
    expect(await answer.json()).toMatchObject({ checkout: "classic" });
  });

  it("refuses what is no basket", async () => {
    const shop = createShop(createTestFlags());
    for (const body of ["", "{", "[]", '["anvil"]', '{"kite":1}']) {
      expect((await shop.request("/customers/ada/checkout", { method: "POST", body })).status).toBe(422);
    }
  });

  it("looks an address up for whom the flag says so, and fails with the service behind it", async () => {
    const flags = createTestFlags({ [ADDRESS_FLAG]: true });
    const shop = createShop(flags, { lookUp: () => Promise.reject(new Error("no address")) });
    shop.onError(() => new Response("no address", { status: 500 }));
    const checkout = () => shop.request("/customers/ada/checkout", { method: "POST", body: basket });
    expect((await checkout()).status).toBe(500);
    flags.set(ADDRESS_FLAG, false);
    const answer = await checkout();
    expect(answer.status).toBe(201);
    expect(await answer.json()).toMatchObject({ address: "ada, by hand" });
  });
});
