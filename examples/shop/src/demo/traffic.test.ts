import { createTestFlags } from "@bunting/sdk/testing";
import { eventually } from "@bunting/testkit";
import { Hono } from "hono";
import { expect, it } from "vitest";
import { CHECKOUT_FLAG, createShop } from "../shop.ts";
import { startTraffic } from "./traffic.ts";

it("buys at every shop, and counts what it got from the last recount on", async () => {
  const shops = [createShop(createTestFlags({ [CHECKOUT_FLAG]: true })), createShop(createTestFlags())];
  const traffic = startTraffic({ shops, perSecond: 5000 });
  await eventually(() => traffic.tally().checkouts > 200);
  const { checkouts, express, failed } = traffic.tally();
  expect(express).toBeGreaterThan(0);
  expect(express).toBeLessThan(checkouts);
  expect(failed).toBe(0);
  traffic.recount();
  expect(traffic.tally().checkouts).toBe(0);
  await traffic.stop();
});

it("goes to other shops from one moment on", async () => {
  const [first, second] = [createShop(createTestFlags({ [CHECKOUT_FLAG]: true })), createShop(createTestFlags())];
  const traffic = startTraffic({ shops: [first], perSecond: 5000 });
  await eventually(() => traffic.tally().express > 50);
  traffic.visit([second]);
  traffic.recount();
  await eventually(() => traffic.tally().checkouts > 50);
  expect(traffic.tally().express).toBe(0);
  await traffic.stop();
});

it("counts a shop that breaks as failed, and goes on", async () => {
  const broken = new Hono();
  broken.onError(() => new Response("out of order", { status: 500 }));
  broken.post("*", () => {
    throw new Error("out of order");
  });
  const traffic = startTraffic({ shops: [broken], perSecond: 5000 });
  await eventually(() => traffic.tally().failed > 50);
  expect(traffic.tally().checkouts).toBe(0);
  await traffic.stop();
});
