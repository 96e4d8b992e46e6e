import { z } from "zod";
import { environmentKey, instant } from "./key.ts";

/** By the time it was made, UTC to the millisecond: names sort by age. Never chosen by a caller. */
export const backupName = z.string().regex(/^bunting-\d{8}T\d{9}Z\.db$/, "is not the name of a backup");

/** A whole, verified copy of the database, in one file on the server's disk. */
export const backup = z
  .object({
    name: backupName,
    madeAt: instant,
    bytes: z.int(),
    /** Of the file, hex. */
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    epoch: z.string(),
    /** Of each living environment, as it is in the copy. */
    revisions: z.record(environmentKey, z.int()),
    auditEntries: z.int(),
    /** Hash of the copy's newest audit entry. */
    auditHead: z.string(),
  })
  .meta({ id: "Backup" });
export type Backup = z.infer<typeof backup>;
