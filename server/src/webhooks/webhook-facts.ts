import type { Random } from "../ports.ts";
import { base62 } from "../tokens/secret.ts";
import type { AllowedHosts } from "./address.ts";
import type { WebhookFacts } from "./commands.ts";
import type { SecretBox } from "./secret-box.ts";

/** 71 bits, as a token's. */
const ID_CHARACTERS = 12;
/** 256 bits. */
const SECRET_CHARACTERS = 43;

export function createWebhookFacts(random: Random, box: SecretBox, allowedHosts: AllowedHosts): WebhookFacts {
  return {
    newId: () => base62(ID_CHARACTERS, random),
    // The prefix is for scanners that look for leaked secrets.
    newSecret: () => `bnt_webhook_${base62(SECRET_CHARACTERS, random)}`,
    seal: (secret, record) => box.seal(secret, record),
    allowedHosts,
  };
}
