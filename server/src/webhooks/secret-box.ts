import { createCipheriv, createDecipheriv, createHash, hkdfSync } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Random } from "../ports.ts";
import { StartupError } from "../startup-error.ts";
import { writeNewFile } from "../store/durable-file.ts";

/** Encrypts what belongs to others and must come back as it was: a digest, as of tokens, would not do. */
export interface SecretBox {
  /**
   * @param record the id of the record that will hold it: bound into the text, so that a secret moved to another record, by
   * whoever can write the database, does not open there
   */
  seal(secret: string, record: string): string;
  /** Null if it was sealed with another key, for another record, or was changed. */
  open(sealed: string, record: string): string | null;
}

const KEY_BYTES = 32;
/** As NIST SP 800-38D recommends for AES-GCM; random, which its section 8.3 allows up to 2^32 texts under one key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM. A sealed text is `v1.<key id>.<nonce, tag and ciphertext as base64url>`. */
export function createSecretBox(key: Uint8Array, random: Pick<Random, "bytes">): SecretBox {
  // Tells a wrong key from damage, and says nothing of the key.
  const keyId = createHash("sha256").update("bunting key id").update(key).digest("hex").slice(0, 8);
  return {
    seal(secret, record) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES }).setAAD(bound(record));
      const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return `v1.${keyId}.${Buffer.concat([nonce, cipher.getAuthTag(), text]).toString("base64url")}`;
    },
    open(sealed, record) {
      const [version, sealedWith, text] = sealed.split(".");
      if (version !== "v1" || sealedWith !== keyId || text === undefined) return null;
      const bytes = Buffer.from(text, "base64url");
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), {
          authTagLength: TAG_BYTES,
        })
          .setAAD(bound(record))
          .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
        return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
      } catch {
        return null;
      }
    },
  };
}

const bound = (record: string): Buffer => Buffer.from(`bunting secret\0${record}`);

/**
 * The key that seals secrets: made of `BUNTING_SECRET_KEY`, or kept in `<folder>/secret.key` (mode 0600), which is made at the
 * first start. It is no part of a backup of the database, on purpose: neither opens without the other.
 *
 * @throws StartupError for a file that is not such a key: a new one would leave every stored secret shut for ever
 */
export function loadSecretKey(folder: string, given: string | null, random: Pick<Random, "bytes">): Uint8Array {
  // RFC 5869. What is given is long and random, as the setting demands: this only brings it to the right length.
  if (given !== null) return new Uint8Array(hkdfSync("sha256", given, "", "bunting secrets v1", KEY_BYTES));
  const file = path.join(folder, "secret.key");
  if (!existsSync(file)) {
    const key = random.bytes(KEY_BYTES);
    writeNewFile(file, key);
    return key;
  }
  const key = readFileSync(file);
  if (key.length === KEY_BYTES) return key;
  throw new StartupError(
    "secret_key_damaged",
    `${file} is not the key that it was. Put it back from a copy; without one, delete it and create every webhook anew.`,
  );
}
