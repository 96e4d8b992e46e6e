import { expect, it } from "vitest";
import { createAddressService } from "./address-service.ts";

it("knows where everybody lives, until it is broken, and again when it is repaired", async () => {
  const service = createAddressService();
  await expect(service.lookUp("ada")).resolves.toContain("ada");
  service.failing(1);
  await expect(service.lookUp("ada")).rejects.toThrow("overloaded");
  service.failing(0);
  await expect(service.lookUp("ada")).resolves.toContain("ada");
});
