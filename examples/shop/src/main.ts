import { createFlags } from "@bunting/sdk";
import { serve } from "@hono/node-server";
import { createShop } from "./shop.ts";

// BUNTING_URL and BUNTING_TOKEN say where flags come from. Without them the shop still sells: with the classic checkout.
const flags = createFlags();
console.log(`Flags are ${await flags.ready({ timeoutMs: 2_000 })}.`);

const port = Number(process.env.PORT ?? 8080);
const server = serve({ fetch: createShop(flags).fetch, hostname: "127.0.0.1", port }, () => {
  console.log(`The shop is open at http://127.0.0.1:${port}/products`);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => void flags.close()));
}
