import { randomInt } from "node:crypto";
import type { AddressBook } from "../shop.ts";

/** The service behind the looked-up addresses, which the story breaks and repairs. */
export interface AddressService extends AddressBook {
  /** Share of look-ups that fail from now on, 0 to 1. */
  failing(share: number): void;
}

export function createAddressService(): AddressService {
  let failingShare = 0;
  return {
    failing(share) {
      failingShare = share;
    },
    lookUp(customer) {
      const fails = randomInt(1_000_000) < failingShare * 1_000_000;
      return fails
        ? Promise.reject(new Error("The address service is overloaded."))
        : Promise.resolve(`${customer}, 1 Harbour Street`);
    },
  };
}
